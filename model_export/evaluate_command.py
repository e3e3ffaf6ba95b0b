"""`focalpoint evaluate`: a bundle on the validation split of the recipe that it records."""

import json
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from model_export.data.splits import validation_samples
from model_export.errors import RunError
from model_export.evaluate import LABEL_BOXES, NO_BOXES, Report, estimate_in_process, estimate_over_http, evaluate
from model_export.recipe import parse_recipe
from service.contract.bundle_manifest import MANIFEST_FILE, BundleManifest


def run_evaluation(bundle: Path, url: str | None, json_file: Path | None) -> Report:
    """Measure a bundle and print the report.

    Args:
        bundle: its manifest's recipe names the data.
        url: a running service that serves this bundle; without it the bundle is run in process.
        json_file: where to write the report as JSON.

    Raises:
        BundleError, TrainingInputError: bundle, data or service cannot be used.
    """
    if json_file is not None and not json_file.parent.is_dir():
        raise RunError(f"--json: there is no folder {json_file.parent}")
    manifest = BundleManifest.load(bundle)
    manifest.verify(bundle)
    origin = f"{bundle / MANIFEST_FILE}, training.recipe"
    if "recipe" not in manifest.training:
        raise RunError(f"{origin} is missing: this bundle does not say what data it is measured on")
    recipe = parse_recipe(manifest.training["recipe"], origin)
    samples = validation_samples(recipe)
    estimate = estimate_over_http(url, manifest) if url else estimate_in_process(bundle, manifest)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("samples", total=len(samples))
        report = evaluate(
            samples,
            estimate,
            recipe.evaluation,
            NO_BOXES if url else LABEL_BOXES,
            lambda done: progress.update(task, completed=done),
        )
    console.print(_describe(report))
    if json_file is not None:
        json_file.write_text(json.dumps(report._asdict(), indent=2) + "\n", encoding="utf-8")
    return report


def _describe(report: Report) -> str:
    offset_x, offset_y = report.mean_offset_in_image
    return (
        f"NME {report.nme:.2%}, normaliser {report.normaliser}, mean over {report.samples} samples\n"
        f"FR@{report.failure_threshold:g} {report.failure_rate:.2%}\n"
        f"mean error {report.mean_error_in_image:.2f} image pixels, "
        f"mean offset from the labels x {offset_x:+.2f}, y {offset_y:+.2f}\n"
        f"boxes: {report.box_protocol}"
    )
