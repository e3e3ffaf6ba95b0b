"""What is said of a checkpoint when it is imported: all that the file itself cannot tell.

It is asked for, all of it at once, and never guessed: the wrong channel order, stride placement or geometry costs
accuracy without any error.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError

from model_export.errors import RecipeError
from model_export.networks import network_options
from model_export.recipe import ChannelOrder
from model_export.recipe_section import Positive, Section
from service.contract.crop_transform import Warp
from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.heatmap_encoding import HeatmapEncoding
from service.contract.keypoint_codec import HeatmapAlignment


class Convention(NamedTuple):
    """How a family of published networks goes from box to crop and from heatmap to keypoint."""

    warp: Warp
    alignment: HeatmapAlignment
    encoding: HeatmapEncoding
    decoding: HeatmapDecoding


CONVENTIONS = {
    "classical": Convention("top_down", "stride", "rounded_gaussian", "quarter_step"),
    "dark": Convention("top_down", "stride", "gaussian", "dark"),
    "udp": Convention("udp", "udp", "cut_gaussian", "dark_udp"),
}

# Key -> what the file cannot tell.
ASKED = {
    "network": "which network it fills",
    "input": "HEIGHTxWIDTH of its crops",
    "channel_order": "rgb or bgr; SimpleBaseline's authors trained on BGR, HRNet's and mmpose on RGB",
    "codec": f"one of {', '.join(CONVENTIONS)}, see docs/geometry.md",
    "sigma": "of its heatmaps in cells, often 2, and 3 for 384x288",
    "skeleton": "its keypoints, such as coco17, or a TOML file",
    "name": "of the bundle",
    "licence": "of the weights, an SPDX identifier",
    "licence_file": "the licence's text",
    "research_only": "--research-only or --any-use",
    "source": "where the weights come from and what they were trained on",
}
_STRIDE_PLACEMENT = "pytorch or caffe, which have the same entries"
_BLUR_KERNEL = "width of DARK's blur in cells, 11 for sigma 2, 17 for sigma 3"


class ImportSettings(Section):
    """What whoever imports a checkpoint says of it; see `ASKED`."""

    network: str
    options: dict[str, Any]
    input: tuple[int, int]
    channel_order: ChannelOrder
    codec: str
    sigma: Positive
    blur_kernel: Annotated[int, Field(ge=3)] | None = None
    padding: Positive
    skeleton: str
    name: str
    version: str
    licence: str
    licence_file: Path
    research_only: bool
    source: str

    @property
    def convention(self) -> Convention:
        """The geometry that `codec` names."""
        return CONVENTIONS[self.codec]


def parse_settings(values: Mapping[str, Any]) -> ImportSettings:
    """Settings from the command line; a value of None was not given.

    Raises:
        RecipeError: something that the file cannot tell was not said, or a value is wrong.
    """
    given = {key: value for key, value in values.items() if value is not None}
    asked = dict(ASKED)
    if "network" in given and "stride_placement" in network_options(given["network"]):
        asked["stride_placement"] = _STRIDE_PLACEMENT
    if given.get("codec", "classical") not in CONVENTIONS:
        raise RecipeError(f"--codec: expected one of {', '.join(CONVENTIONS)}, found {given['codec']!r}")
    if given.get("codec") in ("dark", "udp"):
        asked["blur_kernel"] = _BLUR_KERNEL
    missing = [f"--{key.replace('_', '-')} ({why})" for key, why in asked.items() if key not in given]
    if missing:
        raise RecipeError(f"import-checkpoint needs what the file cannot tell: {', '.join(missing)}")
    for key in ("stride_placement", "blur_kernel"):
        if key in given and key not in asked:
            raise RecipeError(f"--{key.replace('_', '-')}: {given['network']} with codec {given['codec']} has none")
    placement = {"stride_placement": given.pop("stride_placement")} if "stride_placement" in given else {}
    try:
        return ImportSettings.model_validate({**given, "options": {**given.get("options", {}), **placement}})
    except ValidationError as error:
        raise RecipeError(describe_options(error)) from error


def describe_options(error: ValidationError) -> str:
    """What is wrong with values of the command line, by the names of their options."""
    return "; ".join(
        f"--{str(fault['loc'][0]).replace('_', '-')}: {fault['msg'].removeprefix('Value error, ')}, "
        f"found {fault['input']!r}"
        for fault in error.errors()
    )
