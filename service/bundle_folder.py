"""The bundles below a folder, as they lie on disk: what a model repository could load.

Three layouts: the folder is a bundle itself; `NAME/manifest.json`, a bundle for each model; or
`NAME/VERSION/manifest.json`, where several versions are kept. In the last two, folders are named by name and version of
their manifests.
"""

import re
from pathlib import Path
from typing import NamedTuple

from service.contract.bundle_manifest import MANIFEST_FILE, BundleError, BundleManifest


class FoundBundle(NamedTuple):
    """A folder with a manifest.

    Attributes:
        folder: of the bundle.
        name: of the model, as the folder has it, where it has; otherwise as the manifest does. Empty if neither does.
        version: likewise.
        manifest: None if it cannot be used.
        fault: then, why.
    """

    folder: Path
    name: str
    version: str
    manifest: BundleManifest | None
    fault: str


def find_bundles(root: Path) -> list[FoundBundle]:
    """Every bundle below a folder, by name and ascending version; only their manifests are read.

    Raises:
        BundleError: the folder cannot be read, or holds no bundle.
    """
    if (root / MANIFEST_FILE).exists():
        return [_read(root, "", "")]
    found: list[FoundBundle] = []
    for folder in _folders(root):
        if (folder / MANIFEST_FILE).exists():
            found.append(_read(folder, folder.name, ""))
            continue
        versions = [version for version in _folders(folder) if (version / MANIFEST_FILE).exists()]
        found += [_read(version, folder.name, version.name) for version in versions]
    if not found:
        raise BundleError(f"{root}: expected {MANIFEST_FILE}, or bundles as NAME or NAME/VERSION, found none")
    return sorted(found, key=lambda bundle: (bundle.name, version_order(bundle.version)))


def version_order(version: str) -> tuple[object, ...]:
    """Key that sorts versions by Semantic Versioning, section 11: numbers as numbers, a pre-release before its release.

    Versions of other forms are compared in the same way; what follows a `+` decides last.
    """
    core, _, pre_release = version.partition("+")[0].partition("-")
    return _parts(core), (0, *_parts(pre_release)) if pre_release else (1,), version


def _parts(text: str) -> tuple[tuple[int, int, str], ...]:
    """Each part as (kind, number, word), numbers before words, so that any two can be compared."""
    parts = re.split(r"[._-]", text)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise BundleError(f"{folder} cannot be read ({error.strerror})") from error


def _read(folder: Path, name: str, version: str) -> FoundBundle:
    try:
        manifest = BundleManifest.load(folder)
    except BundleError as error:
        return FoundBundle(folder, name, version, None, str(error))
    for what, of_folder, of_manifest in (("name", name, manifest.name), ("version", version, manifest.version)):
        if of_folder not in ("", of_manifest):
            fault = (
                f"{folder / MANIFEST_FILE}: expected the {what} {of_folder}, as its folder has it, found {of_manifest}"
            )
            return FoundBundle(folder, name, version, None, fault)
    return FoundBundle(folder, manifest.name, manifest.version, manifest, "")
