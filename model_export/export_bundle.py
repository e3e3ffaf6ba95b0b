"""Writes a bundle: graph, manifest, card, licence and golden images, aside first and then renamed."""

import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from model_export.accuracy import accuracy_entries
from model_export.box_protocols import training_boxes
from model_export.data.dataset import ValidationCrops
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data.splits import validation_samples
from model_export.data.synthetic import draw_samples
from model_export.errors import RecipeError, RunError
from model_export.evaluate import estimate_in_process, evaluate
from model_export.export_network import DecodedNetwork, Parity, check_parity, onnx_graph
from model_export.model_card import model_card
from model_export.onnx_inference import OnnxNetwork
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from model_export.trainer import build_recipe_network
from service.contract.bundle_manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    BundleManifest,
    describe_problems,
    file_sha256,
)
from service.contract.crop_transform import Box
from service.contract.golden_images import GOLDEN_FOLDER, GoldenImage, save_golden_images
from service.contract.model_input import CropInput
from service.contract.model_output import CodecOutput

_PARITY_CROPS = 32
_DRAWN_GOLDEN_SEED = 7


class GoldenPicture(BaseModel):
    """A picture to become a golden image: where it is, its source and terms, box in image pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    source: str
    box: tuple[float, float, float, float]


def read_golden_list(path: Path) -> tuple[GoldenPicture, ...]:
    """The `[[image]]` tables of a TOML file: `path` relative to it, `source`, `box`.

    Raises:
        RecipeError: it cannot be read, an entry is not valid, or a picture is not there.
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
    return pictures


def export_bundle(run: RunFolder, bundle: Path, golden_list: Path | None) -> tuple[BundleManifest, Parity]:
    """Export a run's averaged weights as a bundle folder, replacing one that is there.

    The graph is compared with torch on validation crops, evaluated on the validation split, and only then written.

    Raises:
        TrainingInputError: run, data or golden list cannot be used, or the graph differs from torch.
    """
    recipe, state = run.recipe(), run.load_checkpoint()
    pictures = read_golden_list(golden_list) if golden_list else ()
    _check_replaceable(bundle)
    if state["epoch"] < recipe.optimisation.epochs:
        raise RunError(f"{run.path} has done {state['epoch']} of {recipe.optimisation.epochs} epochs: resume it first")
    samples = validation_samples(recipe)
    partial = bundle.with_name(f".{bundle.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / GOLDEN_FOLDER).mkdir(parents=True)
    try:
        decoded = DecodedNetwork(_averaged_network(recipe, state), recipe.keypoint_codec, recipe.input.channel_order)
        (partial / MODEL_FILE).write_bytes(onnx_graph(decoded, recipe.input.width, recipe.input.height))
        parity = check_parity(decoded, partial / MODEL_FILE, _crops(recipe, samples))
        manifest = _manifest(recipe, run, {MODEL_FILE: file_sha256(partial / MODEL_FILE)})
        estimate = estimate_in_process(partial, manifest)
        report = evaluate(recipe, samples, training_boxes(samples), estimate, lambda _done: None).report
        manifest = manifest.model_copy(update={"accuracy": accuracy_entries(report)})
        for picture in pictures:
            shutil.copyfile(picture.path, partial / GOLDEN_FOLDER / picture.path.name)
        _write_golden_images(partial, manifest, pictures or (_draw_golden_picture(partial),))
        (partial / "LICENSE").write_text(recipe.bundle.licence_text, encoding="utf-8")
        (partial / "MODEL_CARD.md").write_text(model_card(manifest, parity), encoding="utf-8")
        names = sorted(str(path.relative_to(partial)) for path in partial.rglob("*") if path.is_file())
        manifest = manifest.model_copy(update={"sha256": {name: file_sha256(partial / name) for name in names}})
        manifest.save(partial)
        _replace_folder(partial, bundle)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest, parity


def _averaged_network(recipe: Recipe, state: dict[str, Any]) -> Any:
    network = build_recipe_network(recipe)
    prefix = "module."
    weights = {key.removeprefix(prefix): value for key, value in state["averaged"].items() if key.startswith(prefix)}
    network.load_state_dict(weights)
    return network.eval()


def _crops(recipe: Recipe, samples: Sequence[KeypointSample]) -> Any:
    crops = ValidationCrops(samples, recipe.input)
    return np.stack([crops[index]["crop"].numpy() for index in range(min(_PARITY_CROPS, len(crops)))])


def _manifest(recipe: Recipe, run: RunFolder, sha256: dict[str, str]) -> BundleManifest:
    size = recipe.input
    return BundleManifest(
        name=recipe.name,
        version=recipe.bundle.version,
        description=recipe.bundle.description,
        intended_use=recipe.bundle.intended_use,
        keypoints=recipe.keypoints,
        input=CropInput(width=size.width, height=size.height, padding=size.padding, warp=size.warp),
        output=CodecOutput.of(recipe.keypoint_codec),
        licence=recipe.bundle.licence,
        training={
            "data": recipe.bundle.data,
            "adversarial_focal_loss": recipe.adversarial_focal.enabled,
            "versions": run.versions(),
            "recipe": recipe.model_dump(mode="json", exclude_none=True),
        },
        sha256=sha256,
    )


def _write_golden_images(bundle: Path, manifest: BundleManifest, pictures: Sequence[GoldenPicture]) -> None:
    network = OnnxNetwork(bundle / MODEL_FILE)
    golden = []
    for picture in pictures:
        transform = manifest.crop_transform(Box(*picture.box))
        crop = transform.extract(ImageFile(bundle / GOLDEN_FOLDER / picture.path.name)())
        points = transform.to_image(network.run(crop[np.newaxis]).points_in_crop_NK2[0])
        golden.append(
            GoldenImage(
                image=picture.path.name,
                source=picture.source,
                box=picture.box,
                points_in_image=tuple((round(float(x), 3), round(float(y), 3)) for x, y in points),
                # A tenth of a heatmap cell: other processors round differently, other weights lie further off.
                tolerance=round(0.1 * manifest.codec.stride / transform.scale, 3),
            )
        )
    save_golden_images(bundle, tuple(golden))


def _draw_golden_picture(bundle: Path) -> GoldenPicture:
    (sample,) = draw_samples(1, _DRAWN_GOLDEN_SEED)
    path = bundle / GOLDEN_FOLDER / "drawn_face.png"
    cv2.imwrite(str(path), sample.read_image()[..., ::-1])
    box = sample.box
    return GoldenPicture(path=path, source="drawn", box=(box.x, box.y, box.width, box.height))


def _check_replaceable(bundle: Path) -> None:
    """Only a bundle or an empty folder is ever replaced.

    Raises:
        RunError: something else is there.
    """
    if bundle.exists() and not (bundle / MANIFEST_FILE).is_file() and (bundle.is_file() or any(bundle.iterdir())):
        raise RunError(f"{bundle} is there and is no bundle: it is not replaced, choose another --output")


def _replace_folder(partial: Path, bundle: Path) -> None:
    """Put the finished folder in its place; a bundle that was there goes only when the new one is whole."""
    old = bundle.with_name(f".{bundle.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if bundle.exists():
        bundle.rename(old)
    partial.rename(bundle)
    shutil.rmtree(old, ignore_errors=True)
