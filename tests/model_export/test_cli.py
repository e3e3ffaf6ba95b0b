"""The training commands as a user meets them: what can be put right ends in one sentence and leaves no debris."""

import shutil
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner

from model_export.recipe import Recipe
from model_export.run_folder import RECIPE_FILE, RunFolder
from service.cli import build_command_line
from service.contract.bundle_manifest import BundleManifest
from tests.fakes import FakeEngine, write_bundle
from tests.model_export.recipes import recipe_values, shipped_recipe_path, small_recipe
from tests.model_export.runs import build_trainer
from tests.service.conftest import running_server

DRAWN_FACES = str(shipped_recipe_path("drawn_faces"))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Default run folders lie below the working directory, and this machine's data is not the test's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOCALPOINT_DATA", raising=False)


def refusal(*arguments: str) -> str:
    """The one sentence on standard error of a command that ends with exit code 1."""
    result = CliRunner().invoke(build_command_line(), arguments)
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0].removeprefix("focalpoint: ")


def write_recipe(path: Path, **changes: dict[str, Any]) -> str:
    """The drawn faces with changed sections as a recipe file."""
    values = recipe_values()
    for section, update in changes.items():
        values[section] = values[section] | update
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
    return str(path)


def write_csv_recipe(folder: Path, csv_text: str) -> str:
    """A recipe whose training and validation file is this text."""
    (folder / "labels.csv").write_text(csv_text, encoding="utf-8")
    values = recipe_values()
    values["data"] = {"format": "csv", "root": str(folder), "train": "labels.csv", "validation": "labels.csv"}
    (folder / "recipe.toml").write_text(tomli_w.dumps(values), encoding="utf-8")
    return str(folder / "recipe.toml")


def csv_row(picture: str, points: int) -> str:
    header = ",".join(["image", *(f"{axis}{k}" for k in range(points) for axis in "xy")])
    return header + "\n" + ",".join([picture, *(str(10 + k) for k in range(2 * points))]) + "\n"


def untrained_run(folder: Path, recipe: Recipe, epochs_done: int) -> RunFolder:
    """A run whose checkpoint says that so many epochs are done; its weights are those of the start."""
    run = RunFolder(folder)
    run.start(recipe)
    run.record_versions(0, "focalpoint train a_test.toml", "1 x cpu")
    trainer = build_trainer(recipe)
    trainer.epoch = epochs_done
    run.save_checkpoint(trainer.state())
    return run


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle that says what data it is measured on."""
    folder = write_bundle(tmp_path / "discs")
    training = {"recipe": small_recipe().model_dump(mode="json", exclude_none=True)}
    BundleManifest.load(folder).model_copy(update={"training": training}).save(folder)
    return folder


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A loopback port that is taken but that nobody answers on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_train_names_the_recipe_that_is_not_there() -> None:
    assert refusal("train", "absent.toml") == "recipe absent.toml cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("optimisation", {"epoch": 3}, "unknown key optimisation.epoch"),
        ("input", {"width": 66}, "input.width is 66, which codec.stride 4 does not divide"),
        ("base_losses", {"mse": 1.0}, "unknown key base_losses.mse: expected some of heatmap_mse"),
        ("codec", {"decoding": "peak"}, "base_losses.soft_argmax_l1 trains logits, which codec.decoding peak takes"),
        ("network", {"name": "vast"}, "network.name: expected one of compact, pose_resnet_18, "),
        ("network", {"depth": 3}, "unknown key network.depth: compact takes blocks, top_down_width, widths"),
        ("keypoints", {"names": list("abcde")}, "keypoints.names: the drawn faces have right_eye, "),
    ],
)
def test_train_names_the_key_of_the_recipe(tmp_path: Path, section: str, change: dict[str, Any], message: str) -> None:
    recipe = write_recipe(tmp_path / "a.toml", **{section: change})
    assert message in refusal("train", recipe)
    assert not (tmp_path / "runs" / "drawn_faces" / "last.pt").exists()


def test_train_asks_for_the_variable_that_names_the_data(tmp_path: Path) -> None:
    sentence = refusal("train", str(shipped_recipe_path("face68")))
    assert sentence.startswith("data.root is 'ytf68', which lies below the folder named by FOCALPOINT_DATA")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("csv_text", "message"),
    [
        (csv_row("a.png", 4), r"has 4 keypoints (columns x0 ... x3), the recipe's keypoints.names has 5"),
        (csv_row("a.png", 5), "a.png cannot be read: No such file or directory"),
        (csv_row("labels.csv", 5), "labels.csv cannot be decoded"),
        (csv_row("drawn.png", 5).replace("10,11", "10,900"), "line 2: keypoint 0 lies at (10, 900), outside the pict"),
        (csv_row("drawn.png", 5).replace("10,11", ","), "line 2: evaluation.metrics.0 (nme) cannot be measured"),
        (csv_row("drawn.png", 5).replace("12,13", "10,11"), "as none of the 1 samples has the labels, normaliser or"),
    ],
)
def test_train_names_the_file_and_what_is_wrong_with_it(tmp_path: Path, csv_text: str, message: str) -> None:
    shutil.copyfile(write_bundle(tmp_path / "discs") / "golden" / "discs.png", tmp_path / "drawn.png")
    assert message in refusal("train", write_csv_recipe(tmp_path, csv_text))
    assert not (tmp_path / "runs").exists()


def test_train_does_not_write_into_a_run_that_is_there(tmp_path: Path) -> None:
    untrained_run(tmp_path / "run", small_recipe(), epochs_done=1)
    assert refusal("train", DRAWN_FACES, "--run", "run") == (
        "run already holds a run: give --resume to go on with it, or another --run folder"
    )


def test_resume_needs_a_checkpoint_of_the_same_recipe(tmp_path: Path) -> None:
    assert refusal("train", DRAWN_FACES, "--run", "run", "--resume") == "run holds no checkpoint to resume from"
    untrained_run(tmp_path / "run", small_recipe(), epochs_done=1)
    assert refusal("train", DRAWN_FACES, "--run", "run", "--resume") == (
        "run/recipe.toml differs from the recipe given: a run resumes with its own recipe"
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    assert refusal("train", DRAWN_FACES, "--run", "file/run") == "file/run: Not a directory"


@pytest.mark.parametrize("epochs_done", [None, 1])
def test_export_wants_a_finished_run(tmp_path: Path, epochs_done: int | None) -> None:
    if epochs_done is None:
        RunFolder(tmp_path / "run").start(small_recipe())
        expected = "run holds no checkpoint: none of its epochs is done"
    else:
        untrained_run(tmp_path / "run", small_recipe(), epochs_done)
        expected = "run has done 1 of 2 epochs: resume it first"
    assert refusal("export", "run", "--output", "bundle") == expected
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_export_names_what_is_no_run_and_what_is_no_checkpoint(tmp_path: Path) -> None:
    assert "empty is not a run folder" in refusal("export", "empty", "--output", "bundle")
    RunFolder(tmp_path / "run").start(small_recipe())
    (tmp_path / "run" / "last.pt").write_bytes(b"not a checkpoint")
    assert refusal("export", "run", "--output", "bundle").startswith("checkpoint run/last.pt cannot be read: ")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_an_export_that_fails_leaves_no_part_of_a_bundle(tmp_path: Path) -> None:
    untrained_run(tmp_path / "run", small_recipe(), epochs_done=2)
    values = tomllib.loads((tmp_path / "run" / RECIPE_FILE).read_text(encoding="utf-8"))
    values["data"] = {"format": "csv", "root": "nowhere", "train": "a.csv", "validation": "b.csv"}
    (tmp_path / "run" / RECIPE_FILE).write_text(tomli_w.dumps(values), encoding="utf-8")
    assert "data.root is 'nowhere'" in refusal("export", "run", "--output", "bundle")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_evaluate_names_what_is_no_bundle(tmp_path: Path) -> None:
    assert refusal("evaluate", str(tmp_path)).startswith(f"{tmp_path} is not a bundle: manifest.json cannot be read")


def test_evaluate_needs_the_recipe_that_names_the_data(tmp_path: Path) -> None:
    silent = write_bundle(tmp_path / "silent")
    assert refusal("evaluate", str(silent)).startswith(f"{silent}/manifest.json, training.recipe is missing")


def test_evaluate_refuses_a_bundle_that_was_changed(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"another network")
    assert "model.onnx: SHA-256 is" in refusal("evaluate", str(bundle))


def test_evaluate_names_the_service_that_does_not_answer(bundle: Path, closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}"
    sentence = refusal("evaluate", str(bundle), "--url", url)
    assert sentence.startswith(f"{url}/v1/keypoints: expected an answer, found a failed connection: ")
    assert "expected http://HOST:PORT" in refusal("evaluate", str(bundle), "--url", "nothing")


def test_evaluate_refuses_the_answers_of_another_model(bundle: Path) -> None:
    BundleManifest.load(bundle).model_copy(update={"version": "2.0.0"}).save(bundle)
    with running_server(FakeEngine()) as server:
        assert f"{server.url} serves another model: expected" in refusal("evaluate", str(bundle), "--url", server.url)
        sentence = refusal("evaluate", str(bundle), "--url", f"{server.url}/no/such")
        assert f"{server.url}/no/such/v1/keypoints answered 404" in sentence


def test_the_report_is_not_measured_in_vain(bundle: Path) -> None:
    sentence = refusal("evaluate", str(bundle), "--json", "absent/report.json")
    assert sentence == "--json: there is no folder absent"
