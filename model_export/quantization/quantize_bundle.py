"""A finished bundle in fewer bits, as a bundle of its own that says what it lost."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from model_export.accuracy import accuracy_entries
from model_export.box_protocols import training_boxes
from model_export.bundle_writing import check_replaceable, folder_aside, save_with_hashes
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.splits import training_samples, validation_samples
from model_export.errors import RunError
from model_export.evaluate import Evaluated, estimate_in_process, evaluate
from model_export.golden_pictures import GoldenPicture, write_golden_images
from model_export.quantization.comparison import Comparison, compare, comparison_table
from model_export.quantization.conversions import CONVERSIONS, Conversion, Target
from model_export.quantization.quantized_card import quantized_card
from model_export.quantization.speed import milliseconds_per_crop
from model_export.recipe import Recipe, load_recipe
from model_export.recorded_recipe import recorded_recipe
from model_export.run_folder import installed_versions
from service.contract.bundle_manifest import MANIFEST_FILE, MODEL_FILE, BundleManifest
from service.contract.golden_images import GOLDEN_FOLDER, load_golden_images
from service.contract.model_output import CodecOutput

_CARD_FILE = "MODEL_CARD.md"
_TIMED_CROPS = 8


class Quantized(NamedTuple):
    """What was written, and what it cost.

    Attributes:
        manifest: of the new bundle.
        comparison: accuracy before and after.
        milliseconds_per_crop: of the original and of the new graph, on one CPU thread.
    """

    manifest: BundleManifest
    comparison: Comparison
    milliseconds_per_crop: tuple[float, float]


def quantize_bundle(bundle: Path, output: Path, target: Target, data: Path | None, command: str) -> Quantized:
    """Write a bundle whose network computes in fewer bits; on any failure nothing is left.

    Args:
        bundle: in float32, by this project.
        output: the folder to write or replace.
        target: what to compute in.
        data: recipe whose data calibrate and measure; without it the one that the bundle records.
        command: the command line, for the card.

    Raises:
        BundleError, TrainingInputError: the bundle or the data cannot be used.
    """
    source = BundleManifest.load(bundle)
    source.verify(bundle)
    if not isinstance(source.output, CodecOutput):
        raise RunError(f"{bundle / MANIFEST_FILE}, output.kind: expected decoded, found {source.output.kind}")
    if "converted" in source.training:
        raise RunError(f"{bundle} is converted already, to {source.training['converted']['to']}: give its original")
    if output.resolve() == bundle.resolve():
        raise RunError(f"--output: expected another folder than the original {bundle}, which stays as it is")
    check_replaceable(output)
    recipe = recorded_recipe(bundle, source) if data is None else load_recipe(data)
    if recipe.keypoints.names != source.keypoints.names:
        raise RunError(f"--data {data}: its keypoints are not those of {bundle}, in that order")
    conversion, model = CONVERSIONS[target], onnx.load(bundle / MODEL_FILE)
    crops_NHW3 = _calibration_crops(source, recipe, conversion.calibration_crops)
    converted = conversion.convert(model, crops_NHW3)
    measured = conversion.measured_as(model, converted)
    samples = validation_samples(recipe)
    before = _evaluate(bundle, source, recipe, samples)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(measured, Path(folder) / MODEL_FILE)
        after = _evaluate(Path(folder), source, recipe, samples)
    comparison = compare(before, after)
    manifest = source.model_copy(
        update={
            "version": f"{source.version}+{target}",
            "accuracy": accuracy_entries(after.report),
            "training": source.training
            | {
                "converted": {
                    "to": target,
                    "method": conversion.method,
                    "calibration_crops": len(crops_NHW3),
                    "from_version": source.version,
                    "from_sha256": source.sha256[MODEL_FILE],
                    "command": command,
                    "versions": installed_versions(),
                }
            },
        }
    )
    with folder_aside(output) as partial:
        onnx.save(converted, partial / MODEL_FILE)
        _copy_rest(bundle, source, partial)
        _write_golden(bundle, partial, manifest, conversion)
        card = quantized_card(manifest, source, _card_of(bundle), comparison_table(comparison, target))
        (partial / _CARD_FILE).write_text(card, encoding="utf-8")
        manifest = save_with_hashes(partial, manifest)
    timed = _crops(source, samples[:_TIMED_CROPS])
    slow, fast = milliseconds_per_crop([bundle / MODEL_FILE, output / MODEL_FILE], timed)
    return Quantized(manifest, comparison, (slow, fast))


def _calibration_crops(manifest: BundleManifest, recipe: Recipe, count: int) -> NDArray[np.uint8]:
    """Evenly spaced training samples, as the service cuts them."""
    if count == 0:
        return np.empty((0, manifest.input.height, manifest.input.width, 3), np.uint8)
    samples = training_samples(recipe)
    chosen = np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int)
    return _crops(manifest, [samples[index] for index in chosen.tolist()])


def _crops(manifest: BundleManifest, samples: Sequence[KeypointSample]) -> NDArray[np.uint8]:
    return np.stack([manifest.crop_transform(sample.box).extract(sample.read_image()) for sample in samples])


def _evaluate(folder: Path, manifest: BundleManifest, recipe: Recipe, samples: Sequence[KeypointSample]) -> Evaluated:
    estimate = estimate_in_process(folder, manifest)
    return evaluate(recipe, samples, training_boxes(samples), estimate, lambda _done: None)


def _copy_rest(bundle: Path, source: BundleManifest, partial: Path) -> None:
    """Licence and whatever else the bundle has; golden images are written anew."""
    for name in source.sha256.keys() - {MODEL_FILE, _CARD_FILE}:
        if not name.startswith(f"{GOLDEN_FOLDER}/"):
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle / name, partial / name)


def _write_golden(bundle: Path, partial: Path, manifest: BundleManifest, conversion: Conversion) -> None:
    pictures = [
        GoldenPicture(path=bundle / GOLDEN_FOLDER / golden.image, source=golden.source, box=golden.box)
        for golden in load_golden_images(bundle)
    ]
    write_golden_images(partial, manifest, pictures, conversion.golden_tolerance_in_cells)


def _card_of(bundle: Path) -> str:
    card = bundle / _CARD_FILE
    return card.read_text(encoding="utf-8") if card.is_file() else ""
