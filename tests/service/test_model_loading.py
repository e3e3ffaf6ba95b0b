"""Loading: the golden images have the last word, and the log says what is served under which terms."""

import logging
from pathlib import Path

import pytest

from service.contract.bundle_manifest import BundleError, BundleManifest
from service.model_loading import check_golden_images, load_model
from tests.fakes import FakeEngine, fake_manifest, write_bundle


def test_a_model_that_answers_as_at_export_is_loaded(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    engine = load_model(bundle, "cpu", 1)
    digest = engine.manifest.sha256["model.onnx"][:12]
    assert f"model discs 1.2.3, sha256 {digest}, on cpu; 1 golden images agree" in caplog.text
    assert "licence of the weights: Apache-2.0. Free to use." in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_model_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path, golden_shift=1.0)
    with pytest.raises(BundleError, match=r"golden image discs\.png: a keypoint lies 1\.\d+ px from where it was"):
        load_model(tmp_path, "cpu", 1)


def test_a_golden_image_that_is_broken_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    picture = tmp_path / "golden" / "discs.png"
    picture.write_bytes(picture.read_bytes()[:-30])
    with pytest.raises(BundleError, match=r"cannot be used .*cut off"):
        check_golden_images(tmp_path, FakeEngine())
    picture.unlink()
    with pytest.raises(BundleError, match=r"discs\.png: this golden image cannot be used"):
        check_golden_images(tmp_path, FakeEngine())


def test_weights_for_research_only_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_bundle(tmp_path)
    licence = {"name": "Research", "summary": "Not for identification.", "research_only": True}
    fake_manifest(BundleManifest.load(tmp_path).sha256, licence=licence).save(tmp_path)
    load_model(tmp_path, "cpu", 1)
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "Not for identification." in warning.getMessage()
