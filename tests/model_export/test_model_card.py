"""The card of a run: the commands that were given, what the arm was, and each change of what it was made with."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_export import bundle_writing
from model_export.export_bundle import export_bundle
from model_export.recipe import load_recipe
from model_export.run_folder import VERSIONS_FILE, RunFolder
from service.cli import build_command_line
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from tests.model_export.recipes import shipped_recipe_path

SMALL = ("data.train_count=24", "data.validation_count=6", "optimisation.epochs=1", "optimisation.batch_size=8")


def focalpoint(*arguments: str) -> None:
    result = CliRunner().invoke(build_command_line(), arguments)
    assert result.exit_code == 0, result.output


def test_the_card_of_the_vanilla_arm_claims_no_afl_and_says_how_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changes = [f"--set={change}" for change in SMALL]
    recipe = str(shipped_recipe_path("drawn_faces"))
    focalpoint("train", recipe, "--run", str(tmp_path / "runs" / "arm"), "--no-afl", "--seed=3", *changes)
    focalpoint("export", "runs/arm", "--output", "vanilla")
    card = (tmp_path / "vanilla" / "MODEL_CARD.md").read_text(encoding="utf-8")
    manifest = BundleManifest.load(tmp_path / "vanilla")
    assert manifest.training["adversarial_focal_loss"] is False
    assert "Trained without Adversarial Focal Loss" in card
    assert card.count("Adversarial") == 1
    assert f"    focalpoint train drawn_faces.toml --run runs/arm --no-afl --seed=3 {' '.join(changes)}\n" in card
    assert "    focalpoint export runs/arm --output vanilla\n" in card
    assert str(tmp_path) not in card + manifest.model_dump_json()


def test_a_run_of_several_pieces_says_what_each_was_made_with(
    finished_run: RunFolder, finished_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = (finished_bundle / MODEL_FILE).read_bytes()  # the run's; the exporter would take seconds for it each time
    monkeypatch.setattr(bundle_writing, "onnx_graph", lambda *_: graph)
    run = RunFolder(Path(shutil.copytree(finished_run.path, tmp_path / "run")))
    (first,) = run.versions()
    starts = [first, first | {"epochs_done": 1, "command": "focalpoint train a_test.toml --resume"}]
    (run.path / VERSIONS_FILE).write_text(json.dumps(starts), encoding="utf-8")
    export_bundle(run, tmp_path / "bundle", None)
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "    focalpoint train a_test.toml\n    focalpoint train a_test.toml --resume\n" in card
    assert f"Versions: python {first['python']}, " in card  # the same all through
    starts.append(starts[1] | {"commit": "of-the-next-day"})
    (run.path / VERSIONS_FILE).write_text(json.dumps(starts), encoding="utf-8")
    export_bundle(run, tmp_path / "bundle", None)
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "The run was not made in one piece:" in card
    assert next(line for line in card.splitlines() if line.startswith("- after 0 ")).endswith(first["commit"])
    assert next(line for line in card.splitlines() if line.startswith("- after 1 ")).endswith("of-the-next-day")
    assert BundleManifest.load(tmp_path / "bundle").training["versions"] == starts


SHIPPED = sorted(shipped_recipe_path("face68").parent.glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_description_says_how_the_weights_were_trained(path: Path) -> None:
    """It holds for both arms of a recipe."""
    bundle = load_recipe(path).bundle
    assert "adversarial" not in (bundle.description + bundle.intended_use + bundle.data).lower()
