"""Golden images: pictures in a bundle with the keypoints expected for them, checked when the model is loaded."""

from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from service.contract.bundle_manifest import BundleError, KeypointIndex, describe_problems

GOLDEN_FOLDER = "golden"
GOLDEN_FILE = "golden/golden.json"


class GoldenImage(BaseModel):
    """One picture of the bundle and what its model answers for one box.

    Attributes:
        image: file name inside `golden/`.
        source: where the picture comes from and under what terms.
        box: x, y, width, height in image pixels.
        points_in_image: K pairs x, y in image pixels, in manifest order.
        tolerance: how far any found keypoint may lie from the expected one, in image pixels.
        compared: indices of the keypoints that are compared; None: all. A keypoint that the picture does not show may
            lie anywhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    source: str
    box: tuple[float, float, float, float]
    points_in_image: tuple[tuple[float, float], ...]
    tolerance: float
    compared: Annotated[tuple[KeypointIndex, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _compared_exist(self) -> Self:
        count = len(self.points_in_image)
        if self.compared is not None and max(self.compared) >= count:
            raise ValueError(f"compared names keypoint {max(self.compared)}, beyond the {count} there are")
        return self

    def check(self, found_points_in_image: NDArray[np.floating[Any]]) -> float:
        """Compare found points (K, 2) with the expected ones; returns how far the worst one lies off, in image pixels.

        Raises:
            BundleError: another number of points, or one of them lies further off than the tolerance.
        """
        expected = np.asarray(self.points_in_image)
        if found_points_in_image.shape != expected.shape:
            raise BundleError(
                f"golden image {self.image}: expected points of shape {expected.shape}, "
                f"found {found_points_in_image.shape}"
            )
        compared = slice(None) if self.compared is None else list(self.compared)
        off = float(np.linalg.norm(found_points_in_image - expected, axis=-1)[compared].max())
        if not off <= self.tolerance:  # also refuses a NaN
            raise BundleError(
                f"golden image {self.image}: a keypoint lies {off:.3g} px from where it was at export, "
                f"allowed are {self.tolerance:g} px"
            )
        return off


_LIST = TypeAdapter(tuple[GoldenImage, ...])


def load_golden_images(bundle: Path) -> tuple[GoldenImage, ...]:
    """The golden images of a bundle folder; none where it has no `golden/golden.json`.

    Raises:
        BundleError: the list is there but is not valid.
    """
    path = bundle / GOLDEN_FILE
    if not path.exists():
        return ()
    try:
        return _LIST.validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BundleError(f"{path}: {describe_problems(error)}") from error


def save_golden_images(bundle: Path, images: tuple[GoldenImage, ...]) -> None:
    """Write the list into a bundle folder, aside first and then renamed."""
    (bundle / GOLDEN_FOLDER).mkdir(exist_ok=True)
    partial = bundle / f"{GOLDEN_FILE}.partial"
    partial.write_bytes(_LIST.dump_json(images) + b"\n")
    partial.replace(bundle / GOLDEN_FILE)
