"""Where bundles lie, and which version is the newest."""

import itertools
from pathlib import Path

import pytest

from service.bundle_folder import find_bundles, version_order
from service.contract.bundle_manifest import BundleError
from service.model_loading import load_model
from service.model_repository import load_bundles
from tests.service.repositories import VersionEngine, save_manifest


def test_precedence_is_that_of_semantic_versioning() -> None:
    # The list of semver.org, section 11, between other forms of versions.
    ascending = [
        "0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1", "1.0.0", "1.0.0+build", "1.0.1", "1.2.0", "1.10.0", "2", "2.0", "2.0.1", "2026-01-02",
        "2026-11-21", "v1",
    ]  # fmt: skip
    for one, other in itertools.pairwise(ascending):
        assert version_order(one) < version_order(other), (one, other)


def test_three_layouts(tmp_path: Path) -> None:
    one = save_manifest(tmp_path / "one", "cat", "1.0.0")
    [found] = find_bundles(one)
    assert (found.folder, found.name, found.version, found.fault) == (one, "cat", "1.0.0", "")
    many = tmp_path / "many"
    dog = save_manifest(many / "dog", "dog", "2.0.0")
    cats = [save_manifest(many / "cat" / version, "cat", version) for version in ("10.0.0", "9.0.0")]
    save_manifest(many / ".hidden", "hidden", "1.0.0")
    (many / "notes.txt").write_text("none of these", encoding="utf-8")
    assert [bundle.folder for bundle in find_bundles(many)] == [cats[1], cats[0], dog]


def test_a_folder_is_named_as_its_manifest_says(tmp_path: Path) -> None:
    save_manifest(tmp_path / "cat" / "2.0.0", "cat", "1.0.0")
    [found] = find_bundles(tmp_path)
    assert (found.name, found.version, found.manifest) == ("cat", "2.0.0", None)
    assert "expected the version 2.0.0, as its folder has it, found 1.0.0" in found.fault
    with pytest.raises(BundleError, match="expected the version"):
        load_bundles(tmp_path, VersionEngine)


def test_a_folder_without_bundles(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected manifest\.json, or bundles as NAME or NAME/VERSION, found none"):
        find_bundles(tmp_path)
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundles(tmp_path / "nowhere", lambda folder: load_model(folder, "cpu", 1))
