"""What a graph is fed: how a box becomes a crop, and a crop the numbers of the input tensor."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.contract.crop_transform import REDUCTIONS, Box, CropTransform, Reduction, Warp
from service.contract.manifest_record import ManifestRecord

Layout = Literal["NHWC", "NCHW"]
ColourOrder = Literal["rgb", "bgr"]
Triple = tuple[float, float, float]
PositiveTriple = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]


class CropInput(ManifestRecord):
    """The graph's input tensor, and the crop that it holds.

    Bundles of this project take uint8 [N, height, width, 3] RGB crops, for normalisation is inside their graphs. Files
    of others mostly take float32 [N, 3, height, width], (crop - mean) / std.
    """

    tensor: str = "crops"
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    dtype: Literal["uint8", "float32"] = "uint8"
    layout: Layout = "NHWC"
    colour_order: ColourOrder = "rgb"
    mean: Triple | None = Field(
        default=None, description="of 0..255, for the tensor's channels in their order; float32 only"
    )
    std: PositiveTriple | None = Field(default=None, description="as `mean`")
    batch: Literal["any", "one"] = Field(
        default="any", description="`one`: the graph's batch size is fixed at 1, so crops are run one by one"
    )
    padding: float = Field(
        gt=0, description="a box, grown to the crop's aspect ratio, is grown by this factor; a whole picture is not"
    )
    warp: Warp = "half_pixel"
    reduction: Reduction = Field(
        default_factory=lambda values: REDUCTIONS[values.get("warp", "half_pixel")],
        description="averages before it shrinks, or not; the default is that of the warp",
    )
    border: Literal["black"] = "black"

    @model_validator(mode="after")
    def _normalised_where_it_is_float(self) -> Self:
        given = [name for name, value in (("mean", self.mean), ("std", self.std)) if value is not None]
        if self.dtype == "float32" and len(given) < 2:
            raise ValueError(f"dtype float32 needs mean and std, found {' and '.join(given) or 'neither'}")
        if self.dtype == "uint8" and given:
            raise ValueError(f"dtype uint8 is not normalised, found {' and '.join(given)}")
        return self

    @property
    def sizes_per_crop(self) -> tuple[int, int, int]:
        """The tensor's shape without the batch."""
        return (self.height, self.width, 3) if self.layout == "NHWC" else (3, self.height, self.width)

    def batch_sizes(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """The sizes of a forward pass that the graph can run, of those that are wanted."""
        return wanted if self.batch == "any" else (1,)

    def transform(self, box: Box, padding: float) -> CropTransform:
        """The crop of this size and warp around a box in image pixels."""
        return CropTransform.around(box, self.width, self.height, padding, self.warp, reduction=self.reduction)
