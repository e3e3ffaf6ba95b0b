"""What a graph answers, and how keypoints are read from it: one record for each kind of output.

N crops, K keypoints, h x w cells of a heatmap, W x H pixels of the crop.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.heatmap_encoding import HeatmapEncoding
from service.contract.keypoint_codec import DEFAULT_BLUR_KERNEL, HeatmapAlignment, KeypointCodec
from service.contract.manifest_record import ManifestRecord

# The shapes that a tensor may have, without the batch; the first is the usual one.
TensorShapes = tuple[tuple[int, ...], ...]


def _refuse_even(width: int) -> int:
    if width % 2 == 0:
        raise ValueError("expected an odd number of cells")
    return width


BlurKernel = Annotated[int, Field(gt=0), AfterValidator(_refuse_even)]


class _HeatmapSize(ManifestRecord):
    heatmap_width: int = Field(gt=2)
    heatmap_height: int = Field(gt=2)
    stride: int = Field(gt=0)
    alignment: HeatmapAlignment = "half_pixel"
    encoding: HeatmapEncoding = "gaussian"
    sigma: float = Field(gt=0)
    decoding: HeatmapDecoding
    blur_kernel: BlurKernel = DEFAULT_BLUR_KERNEL
    score_rule: Literal["clipped_peak"] = "clipped_peak"

    @property
    def codec(self) -> KeypointCodec:
        """The codec of the heatmaps."""
        return KeypointCodec(
            self.heatmap_width,
            self.heatmap_height,
            self.stride,
            self.sigma,
            self.decoding,
            self.alignment,
            self.encoding,
            self.blur_kernel,
        )

    @property
    def crop_size(self) -> tuple[float, float]:
        """Width and height of the crop that these heatmaps are of."""
        return self.codec.crop_size


class CodecOutput(_HeatmapSize):
    """Keypoints that the graph itself has decoded from its heatmaps: the bundles of this project."""

    kind: Literal["decoded"] = "decoded"
    keypoints_tensor: str = "keypoints"
    scores_tensor: str = "scores"
    heatmaps_tensor: str = "heatmaps"

    @classmethod
    def of(cls, codec: KeypointCodec) -> Self:
        """What a manifest says of a codec."""
        return cls(**asdict(codec))

    def tensors(self, keypoints: int) -> dict[str, TensorShapes]:
        """The graph's outputs: float32 [N, K, 2] in crop pixels, [N, K] and [N, K, h, w]."""
        return {
            self.keypoints_tensor: ((keypoints, 2),),
            self.scores_tensor: ((keypoints,),),
            self.heatmaps_tensor: ((keypoints, self.heatmap_height, self.heatmap_width),),
        }


class HeatmapOutput(_HeatmapSize):
    """Heatmaps, read by the codec after the graph: MMDeploy, HRNet, Simple Baselines, ViTPose.

    Encoding and sigma are those of its training; nothing is decoded by them.
    """

    kind: Literal["heatmaps"]
    heatmaps_tensor: str

    def tensors(self, keypoints: int) -> dict[str, TensorShapes]:
        """The graph's output: float32 [N, K, h, w]."""
        return {self.heatmaps_tensor: ((keypoints, self.heatmap_height, self.heatmap_width),)}


SimccScore = Literal["min", "mean"]


class SimccOutput(ManifestRecord):
    """Two rows of responses for each keypoint, along x and along y (SimCC, Li et al. 2022): RTMPose.

    Bin i of a row is the crop coordinate i / split_ratio; the highest one is the answer. The score is the lesser of
    the two responses (`min`, mmpose and MMDeploy) or their mean (`mean`, rtmlib), clipped to [0, 1]. Where that is not
    above zero the originals answer the place -1; here the highest bins stay, with the score 0.
    """

    kind: Literal["simcc"]
    x_tensor: str = "simcc_x"
    y_tensor: str = "simcc_y"
    bins_x: int = Field(gt=1)
    bins_y: int = Field(gt=1)
    split_ratio: float = Field(default=2.0, gt=0, description="bins per crop pixel")
    score_rule: SimccScore

    @property
    def crop_size(self) -> tuple[float, float]:
        """Width and height of the crop that these rows are of."""
        return self.bins_x / self.split_ratio, self.bins_y / self.split_ratio

    def tensors(self, keypoints: int) -> dict[str, TensorShapes]:
        """The graph's outputs: float32 [N, K, bins]."""
        return {self.x_tensor: ((keypoints, self.bins_x),), self.y_tensor: ((keypoints, self.bins_y),)}


class CoordinateOutput(ManifestRecord):
    """Places of the keypoints as numbers: regression, and graphs that decode.

    `pixel` is crop pixels; `normalized` is a share of the crop: x times W, y times H. Scores are a third number of each
    keypoint, a tensor of their own, or missing; where they are missing each keypoint says 1.
    """

    kind: Literal["coordinates"]
    keypoints_tensor: str
    components: Literal[2, 3] = Field(default=2, description="3: x, y and score")
    scores_tensor: str | None = None
    unit: Literal["pixel", "normalized"]

    @model_validator(mode="after")
    def _one_score(self) -> Self:
        if self.components == 3 and self.scores_tensor is not None:
            raise ValueError(f"components 3 holds the scores already, found scores_tensor {self.scores_tensor!r}")
        return self

    def tensors(self, keypoints: int) -> dict[str, TensorShapes]:
        """The graph's outputs: float32 [N, K, 2 or 3], and [N, K] or [N, K, 1] for scores of their own."""
        places: dict[str, TensorShapes] = {self.keypoints_tensor: ((keypoints, self.components),)}
        return places | ({self.scores_tensor: ((keypoints,), (keypoints, 1))} if self.scores_tensor else {})


OUTPUT_KINDS = ("decoded", "heatmaps", "simcc", "coordinates")


def _kind(value: Any) -> Any:
    """Manifests older than the choice do not name it."""
    return value.get("kind", "decoded") if isinstance(value, Mapping) else getattr(value, "kind", None)


ModelOutput = Annotated[
    Annotated[CodecOutput, Tag("decoded")]
    | Annotated[HeatmapOutput, Tag("heatmaps")]
    | Annotated[SimccOutput, Tag("simcc")]
    | Annotated[CoordinateOutput, Tag("coordinates")],
    Discriminator(_kind),
]
