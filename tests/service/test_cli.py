"""The command line: what it prints, what it refuses, and how it ends."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from service import __version__, cli
from service.contract.bundle_manifest import BundleError
from service.errors import InvalidSetting, StartupError, UnsupportedMediaType
from service.settings import Settings, flag_of, variable_of
from tests.fakes import CENTRES, draw_discs, encode


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    path.write_bytes(encode(draw_discs()))
    return path


def greet(name: str) -> None:
    """Greet, as a registered command would."""
    typer.echo(f"hello {name}")


class _GreetEntryPoint(EntryPoint):
    def load(self) -> Callable[[str], None]:
        return greet


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Standard output of a command, or the exception that `main` would turn into a sentence."""
    registered = EntryPoints([_GreetEntryPoint("greet", "nowhere:greet", cli.COMMANDS_GROUP)])
    monkeypatch.setattr(cli, "entry_points", lambda group: registered.select(group=group))
    return CliRunner().invoke(cli.build_command_line(), arguments, catch_exceptions=False).stdout


def test_predict_draws_and_prints_what_the_server_answers(
    monkeypatch: pytest.MonkeyPatch, picture: Path, bundle: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.png"
    printed = run(
        monkeypatch, "predict", str(picture), "-o", str(output), "--model", str(bundle), "--json",
        "--box", "35,25,71,71", "--box", "30,20,80,80",
    )  # fmt: skip
    instances = json.loads(printed)["instances"]
    assert [instance["box"] for instance in instances] == [[35, 25, 71, 71], [30, 20, 80, 80]]
    points = np.array([[keypoint["x"], keypoint["y"]] for keypoint in instances[0]["keypoints"]])
    assert np.abs(points - CENTRES).max() < 0.3
    drawn = cv2.imread(str(output), cv2.IMREAD_COLOR_RGB)
    assert drawn is not None
    assert drawn.shape == (120, 160, 3)
    assert not np.array_equal(drawn, draw_discs())


def test_predict_without_boxes_says_what_it_wrote(
    monkeypatch: pytest.MonkeyPatch, picture: Path, bundle: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("FOCALPOINT_MODEL", str(bundle))
    output = tmp_path / "out.jpg"
    assert run(monkeypatch, "predict", str(picture), "-o", str(output)) == f"{output}: 3 keypoints each, score 1.00\n"
    assert output.read_bytes().startswith(b"\xff\xd8")


def test_predict_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, picture: Path, bundle: Path, tmp_path: Path
) -> None:
    model = ["--model", str(bundle)]
    with pytest.raises(InvalidSetting, match=r"give -o OUT\.png"):
        run(monkeypatch, "predict", str(picture), *model)
    with pytest.raises(StartupError, match="cannot be read"):
        run(monkeypatch, "predict", str(tmp_path / "none.png"), "--json", *model)
    with pytest.raises(StartupError, match="ends in"):
        run(monkeypatch, "predict", str(picture), "-o", str(tmp_path / "out.xyz"), *model)
    with pytest.raises(StartupError, match="cannot be written"):
        run(monkeypatch, "predict", str(picture), "-o", str(tmp_path / "no" / "out.png"), *model)
    with pytest.raises(UnsupportedMediaType):
        run(monkeypatch, "predict", str(bundle / "manifest.json"), "--json", *model)
    with pytest.raises(BundleError, match="is not a bundle"):
        run(monkeypatch, "predict", str(picture), "--json", "--model", str(tmp_path))


def test_predict_says_that_no_model_was_given_where_the_default_is_not_here(
    monkeypatch: pytest.MonkeyPatch, picture: Path, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOCALPOINT_MODEL", raising=False)
    with pytest.raises(InvalidSetting, match="found none given, and the default models/face68 is not here"):
        run(monkeypatch, "predict", str(picture), "--json")


def test_registered_functions_are_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "greet", "you") == "hello you\n"
    assert "greet" in run(monkeypatch, "--help")


def test_every_setting_has_its_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = run(monkeypatch, "serve", "--help")
    for name in Settings.model_fields:
        assert variable_of(name) in text
        assert name == "model" or flag_of(name) in text


@pytest.mark.parametrize(
    ("error", "code"), [(InvalidSetting("no"), 2), (StartupError("no"), 1), (BundleError("no"), 1)]
)
def test_main_turns_errors_into_a_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    def failing() -> typer.Typer:
        raise error

    monkeypatch.setattr(cli, "build_command_line", failing)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == "focalpoint: no\n"


def test_the_package_runs_as_a_module() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "service", "--version"], check=True, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == f"focalpoint {__version__}\n"
