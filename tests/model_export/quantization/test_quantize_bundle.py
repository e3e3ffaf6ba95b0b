"""`focalpoint quantize`: a bundle that serves, says what it lost, and leaves nothing half-written."""

import json
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from model_export.errors import RecipeError, RunError
from model_export.quantization import quantize_bundle as module
from model_export.quantization.conversions import CONVERSIONS, Target
from model_export.quantization.quantize_bundle import quantize_bundle
from service.cli import build_command_line
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.golden_images import load_golden_images
from service.model_loading import load_model
from tests.fakes import write_bundle
from tests.model_export.recipes import shipped_recipe_path


@pytest.fixture
def bundle(finished_bundle: Path) -> Path:
    return finished_bundle


@pytest.mark.parametrize("target", ["int8", "float16"])
def test_a_quantized_bundle_serves_and_says_what_it_is(bundle: Path, tmp_path: Path, target: Target) -> None:
    written = tmp_path / "small"
    arguments = ["quantize", str(bundle), "--output", str(written), "--to", target]
    result = CliRunner().invoke(build_command_line(), arguments)
    assert result.exit_code == 0, result.output
    before, after = BundleManifest.load(bundle), load_model(written, "cpu", 1).manifest
    assert after.version == f"{before.version}+{target}"
    assert (after.keypoints, after.input, after.output) == (before.keypoints, before.input, before.output)
    assert after.training["recipe"] == before.training["recipe"]
    assert after.training["converted"]["from_sha256"] == before.sha256[MODEL_FILE]
    assert after.training["converted"]["calibration_crops"] == (24 if target == "int8" else 0)
    assert [figure.metric for figure in after.accuracy] == [figure.metric for figure in before.accuracy]
    assert after.accuracy != before.accuracy
    card = (written / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {before.name} {before.version}+{target}\n")
    assert (bundle / "MODEL_CARD.md").read_text(encoding="utf-8") in card
    for line in result.output.splitlines():
        if line.startswith("|"):
            assert line in card
    assert f"| metric | float32 | {target} | change |" in result.output
    assert "ms per crop in float32" in result.output
    (old,), (new,) = load_golden_images(bundle), load_golden_images(written)
    share = CONVERSIONS[target].golden_tolerance_in_cells / 0.1
    assert new.tolerance == pytest.approx(share * old.tolerance, abs=0.01)
    assert (new.image, new.box, new.source) == (old.image, old.box, old.source)


def test_what_cannot_be_quantized_is_named_and_leaves_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "small"
    with pytest.raises(RunError, match="expected another folder than the original"):
        quantize_bundle(bundle, bundle, "int8", None, "a test")
    with pytest.raises(RunError, match=r"training\.recipe is missing"):
        quantize_bundle(write_bundle(tmp_path / "discs"), written, "int8", None, "a test")
    with pytest.raises(RunError, match="keypoints are not those of"):
        quantize_bundle(bundle, written, "int8", shipped_recipe_path("face68"), "a test")
    with pytest.raises(RecipeError, match="cannot be read"):
        quantize_bundle(bundle, written, "int8", tmp_path / "no.toml", "a test")
    monkeypatch.setattr(module, "quantized_card", lambda *_: json.loads("no card"))
    with pytest.raises(json.JSONDecodeError):
        quantize_bundle(bundle, written, "float16", None, "a test")
    assert [path.name for path in tmp_path.iterdir()] == ["discs"]


def test_a_quantized_bundle_is_not_quantized_again(bundle: Path, tmp_path: Path) -> None:
    quantize_bundle(bundle, tmp_path / "once", "int8", None, "a test")
    graph = onnx.load(tmp_path / "once" / MODEL_FILE).graph
    assert not {tensor.name for tensor in graph.initializer} & {"network.head.weight"}
    with pytest.raises(RunError, match="converted already"):
        quantize_bundle(tmp_path / "once", tmp_path / "twice", "int8", None, "a test")
