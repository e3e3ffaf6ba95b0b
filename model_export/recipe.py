"""A recipe: one complete TOML file per experiment. An unknown key or a wrong type is an error that names it."""

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from model_export.adversarial_focal_section import AdversarialFocal, write_out_form
from model_export.augmentation_sections import Augmentation
from model_export.data.readers import READERS
from model_export.errors import RecipeError
from model_export.metrics.settings import UNION_TAGS as METRIC_TAGS
from model_export.metrics.settings import Evaluation
from model_export.optimisation import Optimisation
from model_export.overrides import override
from model_export.recipe_section import Count, Positive, Section
from model_export.skeleton import resolve_skeleton
from service.contract.bundle_manifest import Keypoints, Licence, describe_problems
from service.contract.coco_results import WHOLEBODY_COUNT
from service.contract.crop_transform import Box, CropTransform, Warp
from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.heatmap_encoding import HeatmapEncoding
from service.contract.keypoint_codec import DEFAULT_BLUR_KERNEL, HeatmapAlignment, KeypointCodec
from service.contract.model_output import BlurKernel

DATA_VARIABLE = "FOCALPOINT_DATA"
ChannelOrder = Literal["rgb", "bgr"]
CorruptedShare = Annotated[float, Field(gt=0, lt=1)]
_UNION_TAGS = (
    "annotated",
    "synthetic",
    "one_cycle",
    "drops",
    "robust",
    "classical",
    *METRIC_TAGS,
)  # pydantic puts them into the place of an error


def _below_data(key: str, path: str) -> Path:
    base = os.environ.get(DATA_VARIABLE)
    if not Path(path).is_absolute() and not base:
        raise RecipeError(
            f"{key} is {path!r}, which lies below the folder named by {DATA_VARIABLE}; "
            f"set that variable, or give an absolute path"
        )
    return Path(base or "") / path


def _known_format(name: str) -> str:
    if name not in READERS:
        raise ValueError(f"expected one of {', '.join(READERS)}, synthetic")
    return name


class AnnotatedData(Section):
    """Annotation files in one of the formats of `data/readers.py`, and their pictures.

    A relative `root` lies below the folder that the environment variable FOCALPOINT_DATA names; everything else lies
    below `root`. Without `train_images` or `validation_images` the pictures' names are relative to the folder of that
    annotation file (to the folder itself, where a format's annotations are a folder). Either `validation` names the
    annotations to validate on, or `validation_share` takes about that share of the pictures of `train` out for it, see
    `data/content_split.py`. With `skip_bad` a faulty object or picture is skipped and counted; without it, it is an
    error. With `corrupted_share` that share of the training labels is made wrong on purpose, see
    `data/label_corruption.py`.
    """

    format: Annotated[str, AfterValidator(_known_format)]
    root: str
    train: str
    validation: str | None = None
    validation_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    train_images: str | None = None
    validation_images: str | None = None
    skip_bad: bool = False
    corrupted_share: CorruptedShare | None = None

    @model_validator(mode="after")
    def _one_validation(self) -> Self:
        if (self.validation is None) == (self.validation_share is None):
            raise ValueError("expected either validation, an annotation file, or validation_share, found both or none")
        if self.validation is None and self.validation_images is not None:
            raise ValueError("validation_images needs validation, the annotation file whose pictures lie there")
        return self

    def folder(self) -> Path:
        """The folder that holds the annotation files.

        Raises:
            RecipeError: `root` is relative and FOCALPOINT_DATA is not set, or there is no such folder.
        """
        folder = _below_data("data.root", self.root)
        if not folder.is_dir():
            raise RecipeError(f"data.root: there is no folder {folder}")
        return folder

    def images_folder(self, annotations: str, images: str | None) -> Path:
        """The folder that the pictures' names in `annotations` are relative to, `images` being the key given for it.

        Raises:
            RecipeError: as `folder`.
        """
        if images is not None:
            return self.folder() / images
        path = self.folder() / annotations
        return path if path.is_dir() else path.parent


class SyntheticData(Section):
    """Drawn faces with exact truth (see `data/synthetic.py`), but for a `corrupted_share` of the training labels."""

    format: Literal["synthetic"]
    train_count: Count
    validation_count: Count
    corrupted_share: CorruptedShare | None = None


def _kind_of_data(values: Any) -> str:
    data_format = values.get("format") if isinstance(values, dict) else getattr(values, "format", None)
    return "synthetic" if data_format == "synthetic" else "annotated"


class Input(Section):
    """The crop that the network sees, in pixels; `padding` is the factor by which the box is grown; `warp`
    is the pixel convention, see docs/geometry.md.

    Crops are RGB, in the service too; with `channel_order` bgr the network, not its caller, reverses them.
    """

    width: Count
    height: Count
    padding: Positive
    warp: Warp
    channel_order: ChannelOrder = "rgb"

    def crop_transform(
        self, box: Box, *, growth: float = 1.0, rotation_degrees: float = 0.0, mirrored: bool = False
    ) -> CropTransform:
        """The crop around a box in image pixels; `growth` multiplies the padding, for the rest see `CropTransform`."""
        return CropTransform.around(
            box,
            self.width,
            self.height,
            self.padding * growth,
            self.warp,
            rotation_degrees=rotation_degrees,
            mirrored=mirrored,
        )


class Network(Section):
    """Which network and its sizes; the other keys are arguments of its function in `networks`.

    `initial_weights` is a checkpoint to start from; a relative path lies below the folder that FOCALPOINT_DATA names.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str
    initial_weights: str | None = None

    def initial_weights_file(self) -> Path | None:
        """The checkpoint to start from.

        Raises:
            RecipeError: the path is relative and FOCALPOINT_DATA is not set.
        """
        return None if self.initial_weights is None else _below_data("network.initial_weights", self.initial_weights)

    @property
    def sizes(self) -> dict[str, Any]:
        """The arguments of the network's function."""
        return dict(self.model_extra or {})


class Codec(Section):
    """How keypoints become heatmaps and back, see `KeypointCodec`; `sigma` and `blur_kernel` in heatmap cells."""

    stride: Count
    sigma: Positive
    alignment: HeatmapAlignment
    encoding: HeatmapEncoding
    decoding: HeatmapDecoding
    blur_kernel: BlurKernel | None = None

    @model_validator(mode="after")
    def _dark_has_a_kernel(self) -> Self:
        if (self.blur_kernel is not None) != (self.decoding in {"dark", "dark_udp"}):
            raise ValueError(
                f"expected blur_kernel with decoding dark or dark_udp and with no other, "
                f"found decoding {self.decoding} and blur_kernel {self.blur_kernel}"
            )
        return self


class Bundle(Section):
    """What the exported bundle says of itself."""

    version: str
    description: str
    intended_use: str
    data: str
    licence: Licence
    licence_text: str


class Recipe(Section):
    """The whole experiment. Sections are documented at their classes."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0)]
    data: Annotated[
        Annotated[AnnotatedData, Tag("annotated")] | Annotated[SyntheticData, Tag("synthetic")],
        Discriminator(_kind_of_data),
    ]
    input: Input
    keypoints: Keypoints
    network: Network
    codec: Codec
    base_losses: dict[str, Positive]
    adversarial_focal: AdversarialFocal
    augmentation: Annotated[Augmentation, Field(discriminator="name")]
    optimisation: Optimisation
    evaluation: Evaluation
    bundle: Bundle

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        for side in ("width", "height"):
            pixels = getattr(self.input, side)
            if pixels % self.codec.stride:
                raise ValueError(f"input.{side} is {pixels}, which codec.stride {self.codec.stride} does not divide")
        if self.augmentation.name == "classical" and max(self.augmentation.upper_body, default=0) >= len(
            self.keypoints.names
        ):
            raise ValueError(
                f"augmentation.upper_body names a keypoint beyond the {len(self.keypoints.names)} there are"
            )
        if not self.base_losses:
            raise ValueError("base_losses names no loss")
        return self

    @model_validator(mode="after")
    def _difficulties_fit(self) -> Self:
        afl = self.adversarial_focal
        if afl.acts_per == "keypoint" and afl.true_side == "better_half":
            raise ValueError(
                "adversarial_focal.acts_per keypoint compares a prediction with its own label, which true_side "
                "better_half does not: expected true_side labels or jittered_labels"
            )
        if afl.whole_batch_key is not None and self.optimisation.accumulation > 1:
            raise ValueError(
                f"adversarial_focal.{afl.whole_batch_key} needs a whole batch at once: expected "
                f"optimisation.accumulation 1, found {self.optimisation.accumulation}"
            )
        return self

    @model_validator(mode="after")
    def _mirrored_keypoints_have_partners(self) -> Self:
        """No pairs at all are a choice, for an object without sides; it is to be said, or it is an oversight."""
        if self.augmentation.flip_share > 0 and "flip_pairs" not in self.keypoints.model_fields_set:
            raise ValueError(
                f"augmentation.flip_share is {self.augmentation.flip_share:g}, which needs keypoints.flip_pairs: the "
                f"pairs that change places in a mirrored picture, or [] for an object without sides"
            )
        return self

    @model_validator(mode="after")
    def _metrics_fit(self) -> Self:
        count = len(self.keypoints.names)
        for key, index in self.evaluation.keypoints_named():
            if index >= count:
                raise ValueError(f"{key} names keypoint {index}, beyond the {count} there are")
        for place, metric in enumerate(self.evaluation.metrics):
            if metric.kind in ("oks", "oks_wholebody") and self.keypoints.oks_sigmas is None:
                raise ValueError(f"evaluation.metrics.{place} takes OKS, which needs keypoints.oks_sigmas")
            if metric.kind == "oks_wholebody" and count != WHOLEBODY_COUNT:
                raise ValueError(
                    f"evaluation.metrics.{place} takes the parts of COCO-WholeBody, {WHOLEBODY_COUNT} keypoints, "
                    f"found {count}"
                )
        return self

    @property
    def keypoint_codec(self) -> KeypointCodec:
        """The codec that training, evaluation and serving share."""
        settings = self.codec
        return KeypointCodec(
            heatmap_width=self.input.width // settings.stride,
            heatmap_height=self.input.height // settings.stride,
            stride=settings.stride,
            sigma=settings.sigma,
            decoding=settings.decoding,
            alignment=settings.alignment,
            encoding=settings.encoding,
            blur_kernel=settings.blur_kernel or DEFAULT_BLUR_KERNEL,
        )

    def without_afl(self) -> Self:
        """The vanilla arm: the same recipe with every difficulty one."""
        vanilla = self.adversarial_focal.model_copy(update={"enabled": False})
        return self.model_copy(update={"adversarial_focal": vanilla})


def parse_recipe(values: dict[str, Any], origin: str) -> Recipe:
    """Validate a recipe given as a mapping; `origin` names it in error messages.

    Raises:
        RecipeError: a key is unknown, missing or impossible.
    """
    try:
        return Recipe.model_validate(write_out_form(values, origin))
    except ValidationError as error:
        raise RecipeError(f"{origin}: {describe_problems(error, union_tags=_UNION_TAGS)}") from error


def load_recipe(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe from a TOML file.

    Args:
        path: of the file.
        settings: values to change before anything is checked, see `overrides.override`.

    Raises:
        RecipeError: the file (or the skeleton that it names) cannot be read, is not TOML, or holds an unknown, missing
            or impossible value.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} is not valid TOML: {error}") from error
    return parse_recipe(resolve_skeleton(override(values, settings), path.parent), str(path))
