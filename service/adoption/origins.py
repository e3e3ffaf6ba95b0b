"""What each origin of ONNX files is known for, where nothing closer says otherwise. Sources: docs/third_party.md."""

from typing import Any, NamedTuple

from service.adoption.facts import Fact, assumed

# Of ImageNet, over 0..255, red first. Simple Baselines give the same three numbers to blue, green, red.
_IMAGENET: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


class Origin(NamedTuple):
    """One choice of `--kind`.

    Attributes:
        output_kind: of `OUTPUT_KINDS`.
        facts: its conventions; what it leaves open is asked for.
        title: for people.
    """

    output_kind: str
    facts: dict[str, Fact]
    title: str


def _published(title: str, **values: Any) -> Origin:
    return Origin("heatmaps", assumed(f"what {title} was trained with", **values), title)


_PADDING = assumed("what MMDeploy and rtmlib pad with", padding=1.25)

ORIGINS: dict[str, Origin] = {
    "mmdeploy-heatmap": Origin("heatmaps", _PADDING, "MMDeploy, heatmaps"),
    "mmdeploy-simcc": Origin(
        "simcc",
        _PADDING | assumed("mmpose's warp for SimCC", warp="top_down") | assumed("mmpose's rule", score_rule="min"),
        "MMDeploy, SimCC (RTMPose)",
    ),
    "hrnet": _published(
        "HRNet", colour_order="rgb", padding=1.25, warp="top_down", decoding="quarter_step", **_IMAGENET
    ),
    "simplebaseline": _published(
        "Simple Baselines", colour_order="bgr", padding=1.25, warp="top_down", decoding="quarter_step", **_IMAGENET
    ),
    "vitpose": _published("ViTPose", colour_order="rgb", padding=1.25, warp="udp", decoding="dark_udp", **_IMAGENET),
    "coordinates": Origin("coordinates", {}, "coordinates"),
}

# What goes together with a rule of decoding in its original: docs/geometry.md.
_GOES_WITH: dict[str, dict[str, Any]] = {
    "quarter_step": {"warp": "top_down", "alignment": "stride", "encoding": "rounded_gaussian"},
    "dark": {"warp": "top_down", "alignment": "stride", "encoding": "gaussian", "blur_kernel": 11},
    "dark_udp": {"warp": "udp", "alignment": "udp", "encoding": "cut_gaussian", "blur_kernel": 11},
    "peak": {"encoding": "gaussian"},
    "soft_argmax": {"encoding": "gaussian"},
}


def goes_with(decoding: str) -> dict[str, Fact]:
    """Values that a rule of decoding brings, and the sigma of the targets, which nothing is decoded by."""
    values = _GOES_WITH.get(decoding, {})
    return assumed(f"goes with decoding {decoding}", **values) | assumed("usual; nothing is decoded by it", sigma=2.0)
