"""Whether a bundle is whole and answers as it did: every file, and every golden image, each with its own outcome."""

from pathlib import Path
from typing import NamedTuple

from service.contract.bundle_manifest import MODEL_FILE, BundleError, BundleManifest
from service.contract.golden_images import load_golden_images
from service.errors import StartupError
from service.model_loading import check_golden_image
from service.onnx_engine import OnnxEngine


class Outcome(NamedTuple):
    """One thing that was checked.

    Attributes:
        name: of the file.
        agrees: whether it is as the bundle says.
        words: what was found.
    """

    name: str
    agrees: bool
    words: str


def check_files(bundle: Path, manifest: BundleManifest) -> list[Outcome]:
    """Every file that the manifest names, by its SHA-256."""
    outcomes = [_check_file(bundle, manifest, name) for name in manifest.sha256]
    if MODEL_FILE not in manifest.sha256:
        outcomes.append(Outcome(MODEL_FILE, False, "the manifest has no SHA-256 of it"))
    return outcomes


def _check_file(bundle: Path, manifest: BundleManifest, name: str) -> Outcome:
    try:
        manifest.verify_file(bundle, name)
    except BundleError as error:
        return Outcome(name, False, str(error))
    return Outcome(name, True, f"sha256 {manifest.sha256[name]}")


def check_answers(bundle: Path) -> list[Outcome]:
    """Every golden image, run on the CPU; the graph itself where it cannot be run."""
    try:
        golden_images = load_golden_images(bundle)
        engine = OnnxEngine(bundle, "cpu", 1)
    except (BundleError, StartupError) as error:
        return [Outcome(MODEL_FILE, False, str(error))]
    outcomes = []
    for golden in golden_images:
        K = len(golden.points_in_image)
        compared = K if golden.compared is None else len(golden.compared)
        try:
            off = check_golden_image(bundle, golden, engine)
        except BundleError as error:
            outcomes.append(Outcome(golden.image, False, str(error)))
        else:
            words = f"{compared} of {K} keypoints within {off:.3f} px, allowed are {golden.tolerance:g} px"
            outcomes.append(Outcome(golden.image, True, f"{words}; source: {golden.source}"))
    return outcomes
