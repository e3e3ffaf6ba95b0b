"""Writing an adopted bundle: aside, checked as it will be at every start, and only then in its place."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from service.adoption.facts import Facts, shown
from service.adoption.golden import GoldenPicture, golden_image
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest, file_sha256
from service.contract.golden_images import GOLDEN_FOLDER, save_golden_images
from service.errors import StartupError
from service.model_loading import load_model
from service.onnx_engine import OnnxEngine


class Adopted(NamedTuple):
    """A bundle that was written, and how many keypoints its golden image compares (None: it has no golden image)."""

    manifest: BundleManifest
    compared: int | None


def write_bundle(
    file: Path, bundle: Path, values: dict[str, Any], facts: Facts, licence_text: str, picture: GoldenPicture
) -> Adopted:
    """Write the bundle of an ONNX file.

    Args:
        file: the ONNX file; weights that it keeps in a file of its own name and `.data` come with it.
        bundle: a folder that is not there, or is empty.
        values: the manifest's, but for `sha256`.
        facts: what they come from, for the model card.
        licence_text: for the bundle's LICENSE.
        picture: what the golden image is made of.

    Raises:
        StartupError: the folder is taken, or onnxruntime cannot run the file.
        BundleError: the graph is not as the values say.
    """
    if bundle.exists() and (bundle.is_file() or any(bundle.iterdir())):
        raise StartupError(f"--output {bundle}: expected a new or an empty folder, found one with something in it")
    partial = bundle.with_name(f".{bundle.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / GOLDEN_FOLDER).mkdir(parents=True)
    try:
        shutil.copyfile(file, partial / MODEL_FILE)
        weights = file.with_name(f"{file.name}.data")
        if weights.is_file():
            shutil.copyfile(weights, partial / weights.name)
        (partial / "LICENSE").write_text(licence_text, encoding="utf-8")
        compared = _write_golden_image(partial, values, picture)
        manifest = _manifest(partial, values)
        (partial / "MODEL_CARD.md").write_text(_card(manifest, facts), encoding="utf-8")
        manifest = _manifest(partial, values)
        manifest.save(partial)
        load_model(partial, "cpu", 1)
        if bundle.exists():
            bundle.rmdir()
        partial.rename(bundle)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Adopted(manifest, compared)


def _manifest(folder: Path, values: dict[str, Any]) -> BundleManifest:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    hashes = {name: file_sha256(folder / name) for name in names if name != "manifest.json"}
    return BundleManifest.model_validate(values | {"sha256": hashes})


def _write_golden_image(folder: Path, values: dict[str, Any], picture: GoldenPicture) -> int | None:
    _manifest(folder, values).save(folder)
    golden = golden_image(OnnxEngine(folder, "cpu", 1), picture)
    if golden is None:
        shutil.rmtree(folder / GOLDEN_FOLDER)
        return None
    (folder / GOLDEN_FOLDER / picture.name).write_bytes(picture.encoded)
    save_golden_images(folder, (golden,))
    return len(golden.points_in_image) if golden.compared is None else len(golden.compared)


def _card(manifest: BundleManifest, facts: Facts) -> str:
    rows = "\n".join(f"| {name} | {shown(fact.value)} | {fact.source} |" for name, fact in facts.items())
    return (
        f"# {manifest.name} {manifest.version}\n\n{manifest.description}\n\n"
        f"Licence of the weights: {manifest.licence.name}. {manifest.licence.summary}\n\n"
        "Made of an ONNX file of others by `focalpoint adopt`; its accuracy has not been measured here.\n\n"
        f"| | value | source |\n|---|---|---|\n{rows}\n"
    )
