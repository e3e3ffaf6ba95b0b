"""`focalpoint evaluate`: a bundle on the validation split of the recipe that it records."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress

from model_export.box_protocols import Boxes, annotated_boxes, detected_boxes, label_boxes, training_boxes
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.splits import validation_samples
from model_export.errors import RunError
from model_export.evaluate import Evaluated, Report, estimate_in_process, evaluate
from model_export.evaluate_over_http import NO_BOXES, estimate_over_http
from model_export.flip_test import FLIP_TESTS, FlipTest
from model_export.metrics.ced_curve import draw_ced
from model_export.metrics.coco_results import write_coco_results
from model_export.metrics.nme import normalised_mean_errors
from model_export.metrics.normalisers import normaliser_name
from model_export.metrics.oks import coco_results
from model_export.metrics.settings import Evaluation, NmeSettings, OksSettings
from model_export.recipe import Recipe
from model_export.recorded_recipe import recipe_origin, recorded_recipe
from service.contract.bundle_manifest import BundleManifest


class Outputs(NamedTuple):
    """The files that an evaluation writes where they are named: report, cumulative error distribution, COCO results."""

    json: Path | None = None
    ced: Path | None = None
    coco_results: Path | None = None


NO_OUTPUTS = Outputs()


def run_evaluation(
    bundle: Path,
    url: str | None = None,
    boxes: str | None = None,
    outputs: Outputs = NO_OUTPUTS,
    flip_test: FlipTest = "none",
) -> Report:
    """Measure a bundle and print the report.

    Args:
        bundle: its manifest's recipe names the data and the metrics.
        url: a running service that serves this bundle; without it the bundle is run in process.
        boxes: `label`, `annotated`, or a COCO detection results file; without it those that training sees.
        outputs: files to write.
        flip_test: whether the mirrored crop is looked at as well, and whether its heatmaps are shifted.

    Raises:
        BundleError, TrainingInputError: bundle, data or service cannot be used, or an output cannot be made.
    """
    _check_folders(outputs)
    manifest = BundleManifest.load(bundle)
    manifest.verify(bundle)
    recipe = recorded_recipe(bundle, manifest)
    _check_metrics(outputs, recipe.evaluation, recipe_origin(bundle))
    if url and boxes:
        raise RunError("--boxes does not go with --url: the service is given whole pictures")
    if url and flip_test != "none":
        raise RunError("--flip-test does not go with --url: the service answers no heatmaps")
    samples = validation_samples(recipe)
    chosen = _boxes(boxes, recipe, samples)
    if outputs.ced and not chosen.one_for_each_sample:
        raise RunError(
            "--ced draws the error of each sample, and detections are not one for each: leave out one of both"
        )
    if url:
        chosen = chosen._replace(protocol=NO_BOXES)
    estimates = (
        estimate_over_http(url, manifest) if url else nullcontext(estimate_in_process(bundle, manifest, flip_test))
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with estimates as estimate, Progress(console=console, transient=True) as progress:
        task = progress.add_task("boxes", total=len(chosen.pictures))
        done = evaluate(recipe, samples, chosen, estimate, lambda count: progress.update(task, completed=count))
    done = done._replace(report=done.report._replace(flip_test=flip_test))
    console.print(_describe(done.report))
    _write(outputs, recipe, manifest, done)
    return done.report


def _boxes(boxes: str | None, recipe: Recipe, samples: Sequence[KeypointSample]) -> Boxes:
    if boxes is None:
        return training_boxes(samples)
    if boxes == "label":
        return label_boxes(samples)
    if boxes == "annotated":
        return annotated_boxes(samples)
    path = Path(boxes)
    if not path.is_file():
        raise RunError(f"--boxes: expected label, annotated or a file of detections, found {boxes!r}")
    if not recipe.evaluation.needs_sigmas:
        raise RunError("--boxes with detections is measured by OKS, and the recipe's evaluation.metrics has none")
    return detected_boxes(path, recipe, samples)


def _check_folders(outputs: Outputs) -> None:
    for option, file in zip(("--json", "--ced", "--coco-results"), outputs, strict=True):
        if file is not None and not file.parent.is_dir():
            raise RunError(f"{option}: there is no folder {file.parent}")


def _check_metrics(outputs: Outputs, settings: Evaluation, origin: str) -> None:
    if outputs.ced and _first(settings, NmeSettings) is None:
        raise RunError(f"--ced draws the distribution of NME, and evaluation.metrics of {origin} has none")
    if outputs.coco_results and _first(settings, OksSettings) is None:
        raise RunError(f"--coco-results rescores by an OKS metric, and evaluation.metrics of {origin} has none")


def _first(settings: Evaluation, kind: type) -> object | None:
    return next((metric for metric in settings.metrics if isinstance(metric, kind)), None)


def _write(outputs: Outputs, recipe: Recipe, manifest: BundleManifest, done: Evaluated) -> None:
    predictions = done.predictions
    if outputs.json is not None:
        report = {"bundle": manifest.name, "version": manifest.version, **done.report.as_json()}
        outputs.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    nme, oks = (_first(recipe.evaluation, kind) for kind in (NmeSettings, OksSettings))
    if outputs.ced is not None and predictions.found_SK2 is not None:
        assert isinstance(nme, NmeSettings)
        errors = normalised_mean_errors(predictions.samples, predictions.found_SK2, nme.normaliser)
        title = f"{manifest.name} {manifest.version}, {done.report.box_protocol}"
        normaliser = normaliser_name(predictions.samples, nme.normaliser)
        draw_ced(outputs.ced, errors[errors == errors], nme.thresholds[-1], title, normaliser)  # noqa: PLR0124
    if outputs.coco_results is not None:
        assert isinstance(oks, OksSettings)
        write_coco_results(outputs.coco_results, coco_results(predictions, oks))


def _describe(report: Report) -> str:
    """Figures of one convention stand together, above it."""
    lines = []
    for (convention, counted, left_out), group in groupby(
        report.figures, key=lambda f: (f.convention, f.counted, f.left_out)
    ):
        lines.append(", ".join(f"{figure.metric} {figure.text}" for figure in group))
        lines.append(f"    {convention}; {counted} counted, {left_out} left out")
    shown = f"boxes: {report.box_protocol}; {FLIP_TESTS[report.flip_test]}; {report.samples} samples"
    return "\n".join([*lines, shown])
