"""`focalpoint export`: a finished run as a bundle, checked against torch and measured on its validation split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_export.accuracy import accuracy_entries
from model_export.box_protocols import training_boxes
from model_export.bundle_writing import check_replaceable, write_bundle
from model_export.command_line_record import command_line
from model_export.data.dataset import ValidationCrops
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.splits import validation_samples
from model_export.evaluate import estimate_in_process, evaluate
from model_export.export_network import DecodedNetwork, Parity
from model_export.finished_run import averaged_network, finished_state
from model_export.golden_pictures import read_golden_list
from model_export.model_card import trained_origin
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from service.contract.bundle_manifest import Accuracy, BundleManifest
from service.contract.model_input import CropInput
from service.contract.model_output import CodecOutput

_PARITY_CROPS = 32


def export_bundle(run: RunFolder, bundle: Path, golden_list: Path | None) -> tuple[BundleManifest, Parity]:
    """Export a run's averaged weights as a bundle folder, replacing one that is there.

    The graph is compared with torch on validation crops, evaluated on the validation split, and only then written.

    Raises:
        TrainingInputError: run, data or golden list cannot be used, or the graph differs from torch.
    """
    recipe = run.recipe()
    pictures = read_golden_list(golden_list) if golden_list else ()
    check_replaceable(bundle)
    state = finished_state(run, recipe)
    samples = validation_samples(recipe)

    def measure(folder: Path, manifest: BundleManifest) -> tuple[Accuracy, ...]:
        estimate = estimate_in_process(folder, manifest)
        report = evaluate(recipe, samples, training_boxes(samples), estimate, lambda _done: None).report
        return accuracy_entries(report)

    manifest = _manifest(recipe, run)
    golden = () if golden_list is None else ("--golden", golden_list)
    command = command_line("export", run.path, "--output", bundle, *golden)
    return write_bundle(
        bundle,
        DecodedNetwork(averaged_network(recipe, state), recipe.keypoint_codec, recipe.input.channel_order),
        manifest,
        parity_crops_NHW3=_crops(recipe, samples),
        measure=measure,
        pictures=pictures,
        licence_text=recipe.bundle.licence_text,
        origin=trained_origin(manifest, command),
    )


def _crops(recipe: Recipe, samples: Sequence[KeypointSample]) -> NDArray[np.uint8]:
    crops = ValidationCrops(samples, recipe.input)
    return np.stack([crops[index]["crop"].numpy() for index in range(min(_PARITY_CROPS, len(crops)))])


def _manifest(recipe: Recipe, run: RunFolder) -> BundleManifest:
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
        sha256={},
    )
