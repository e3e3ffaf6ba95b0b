"""The golden images of a bundle: pictures with the keypoints that its graph found in them when it was written."""

import shutil
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from model_export.data.keypoint_sample import ImageFile
from model_export.data.synthetic import draw_samples
from model_export.errors import RecipeError
from model_export.onnx_inference import OnnxNetwork
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest, describe_problems
from service.contract.crop_transform import Box
from service.contract.golden_images import GOLDEN_FOLDER, GoldenImage, save_golden_images

_DRAWN_SEED = 7


Sides = tuple[float, float, float, float]


def _is_a_box(sides: Sides) -> Sides:
    Box(*sides)
    return sides


class GoldenPicture(BaseModel):
    """A picture to become a golden image: where it is, its source and terms, box in image pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    source: str
    box: Annotated[Sides, AfterValidator(_is_a_box)]


def read_golden_list(path: Path) -> tuple[GoldenPicture, ...]:
    """The `[[image]]` tables of a TOML file: `path` relative to it, `source`, `box`.

    Raises:
        RecipeError: it cannot be read, an entry is not valid, a picture is not there, or two have the same file name,
            under which both would be written into the bundle.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("image", [])
        listed = [GoldenPicture.model_validate(table) for table in tables]
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"golden list {path}: {error}") from error
    except ValidationError as error:
        raise RecipeError(f"golden list {path}: {describe_problems(error)}") from error
    if not listed:
        raise RecipeError(f"golden list {path}: expected at least one [[image]] table with path, source and box")
    pictures = tuple(picture.model_copy(update={"path": path.parent / picture.path}) for picture in listed)
    for picture in pictures:
        if not picture.path.is_file():
            raise RecipeError(f"golden list {path}: the picture {picture.path} is not there")
    # Letters compared as file systems that know no capitals do.
    for name, count in Counter(picture.path.name.lower() for picture in pictures).items():
        if count > 1:
            raise RecipeError(
                f"golden list {path}: expected pictures with file names of their own, found {count} called {name}"
            )
    return pictures


def write_golden_images(
    bundle: Path, manifest: BundleManifest, pictures: Sequence[GoldenPicture], tolerance_in_cells: float = 0.1
) -> None:
    """Copy the pictures (one drawn face where there are none) and note what the bundle's graph finds in them.

    Args:
        bundle: a folder with the graph.
        manifest: its manifest.
        pictures: with their boxes.
        tolerance_in_cells: how far a keypoint may lie off when the bundle is loaded, in cells of the heatmap: other
            processors round differently, other weights lie further off.
    """
    (bundle / GOLDEN_FOLDER).mkdir(exist_ok=True)
    for picture in pictures:
        shutil.copyfile(picture.path, bundle / GOLDEN_FOLDER / picture.path.name)
    network = OnnxNetwork(bundle / MODEL_FILE)
    golden = []
    for picture in pictures or (_draw_picture(bundle),):
        transform = manifest.crop_transform(Box(*picture.box))
        crop = transform.extract(ImageFile(bundle / GOLDEN_FOLDER / picture.path.name)())
        points = transform.to_image(network.run(crop[np.newaxis]).points_in_crop_NK2[0])
        golden.append(
            GoldenImage(
                image=picture.path.name,
                source=picture.source,
                box=picture.box,
                points_in_image=tuple((round(float(x), 3), round(float(y), 3)) for x, y in points),
                tolerance=round(tolerance_in_cells * manifest.codec.stride / transform.scale, 3),
            )
        )
    save_golden_images(bundle, tuple(golden))


def _draw_picture(bundle: Path) -> GoldenPicture:
    (sample,) = draw_samples(1, _DRAWN_SEED)
    path = bundle / GOLDEN_FOLDER / "drawn_face.png"
    cv2.imwrite(str(path), sample.read_image()[..., ::-1])
    box = sample.box
    return GoldenPicture(path=path, source="drawn", box=(box.x, box.y, box.width, box.height))
