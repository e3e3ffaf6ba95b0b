"""Writes a bundle folder: graph, manifest, card, licence and golden images, aside first and then renamed."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_export.errors import RunError
from model_export.export_network import DecodedNetwork, Parity, check_parity, onnx_graph
from model_export.golden_pictures import GoldenPicture, write_golden_images
from model_export.model_card import model_card
from service.contract.bundle_manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    Accuracy,
    BundleError,
    BundleManifest,
    file_sha256,
)

Measure = Callable[[Path, BundleManifest], tuple[Accuracy, ...]]


def check_replaceable(bundle: Path) -> None:
    """Only an empty folder, or a bundle and nothing beside it, is ever replaced.

    Raises:
        RunError: something else is there.
    """
    if not bundle.exists() or (bundle.is_dir() and not any(bundle.iterdir())):
        return
    try:
        manifest = BundleManifest.load(bundle)
    except BundleError as error:
        raise RunError(f"{bundle} is there and is no bundle: it is not replaced, choose another --output") from error
    own = {MANIFEST_FILE, *manifest.sha256}
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if not path.is_dir()}
    if files - own:
        raise RunError(
            f"{bundle} holds {min(files - own)}, which is no part of the bundle there: it is not replaced, move that "
            f"file or choose another --output"
        )


def write_bundle(
    bundle: Path,
    decoded: DecodedNetwork,
    manifest: BundleManifest,
    *,
    parity_crops_NHW3: NDArray[np.uint8],
    measure: Measure,
    pictures: Sequence[GoldenPicture],
    licence_text: str,
    origin: str,
) -> tuple[BundleManifest, Parity]:
    """Write a network as a bundle folder, replacing one that is there; on any failure nothing is left.

    Args:
        bundle: the folder.
        decoded: its graph.
        manifest: all but accuracy and file hashes.
        parity_crops_NHW3: crops on which the graph is compared with torch, before anything is put in place.
        measure: the accuracy of the bundle that is being written, none where there is nothing to measure it on.
        pictures: golden ones; none has one drawn.
        licence_text: of the weights.
        origin: where the weights come from, for the card (Markdown).

    Raises:
        TrainingInputError: the graph differs from torch, or whatever `measure` raises.
    """
    with folder_aside(bundle) as partial:
        graph = partial / MODEL_FILE
        graph.write_bytes(onnx_graph(decoded, manifest.input.width, manifest.input.height))
        parity = check_parity(decoded, graph, parity_crops_NHW3)
        manifest = manifest.model_copy(update={"sha256": {MODEL_FILE: file_sha256(graph)}})
        manifest = manifest.model_copy(update={"accuracy": measure(partial, manifest)})
        write_golden_images(partial, manifest, pictures)
        (partial / "LICENSE").write_text(licence_text, encoding="utf-8")
        (partial / "MODEL_CARD.md").write_text(model_card(manifest, parity, origin), encoding="utf-8")
        manifest = save_with_hashes(partial, manifest)
    return manifest, parity


def describe_bundle(bundle: Path, manifest: BundleManifest, parity: Parity) -> str:
    """What was written, in two lines."""
    return (
        f"{bundle}: {manifest.name} {manifest.version}, sha256 {manifest.sha256[MODEL_FILE][:12]}\n"
        f"onnxruntime and torch differ by {parity.heatmaps:.1e} in heatmaps, {parity.points_in_crop:.1e} px in "
        f"points ({parity.tie_share:.1%} ties left out)"
    )


@contextmanager
def folder_aside(bundle: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `bundle` in the end; on any failure nothing is left of it.

    Raises:
        RunError: what is there is not replaced, see `check_replaceable`.
    """
    check_replaceable(bundle)
    partial = bundle.with_name(f".{bundle.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        _replace_folder(partial, bundle)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def save_with_hashes(folder: Path, manifest: BundleManifest) -> BundleManifest:
    """Write the manifest beside the other files of a bundle, which it names with their hashes; returns it."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    manifest = manifest.model_copy(update={"sha256": {name: file_sha256(folder / name) for name in names}})
    manifest.save(folder)
    return manifest


def _replace_folder(partial: Path, bundle: Path) -> None:
    """Put the finished folder in its place; a bundle that was there goes only when the new one is whole."""
    old = bundle.with_name(f".{bundle.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if bundle.exists():
        bundle.rename(old)
    partial.rename(bundle)
    shutil.rmtree(old, ignore_errors=True)
