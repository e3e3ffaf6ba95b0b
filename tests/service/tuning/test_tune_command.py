"""`focalpoint tune` on a model that computes: what it writes is what `focalpoint serve --settings` reads."""

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import build_command_line
from service.contract.crop_transform import Box
from service.errors import InvalidSetting
from service.settings import Settings, read_settings
from service.tuning.choice import Arrangement, Candidate
from service.tuning.measuring import Picture, measure_load, seconds_of_a_pass
from tests.fakes import BOX_AROUND_CENTRES, FakeEngine, draw_discs, encode


def test_a_pass_is_timed_while_the_others_run() -> None:
    engine = FakeEngine(before_run=lambda _: time.sleep(0.02))
    assert seconds_of_a_pass(engine, Arrangement(2, 1), 4, 0.01) >= 0.02
    assert set(engine.batch_sizes) == {4}
    assert len(engine.threads) == 2


def test_pictures_go_through_the_pipeline_with_the_candidates_settings() -> None:
    engine = FakeEngine(before_run=lambda _: time.sleep(0.01))
    pictures = [Picture(encode(draw_discs()), Box(*BOX_AROUND_CENTRES)), Picture(encode(draw_discs()), None)]
    load = measure_load(engine, Candidate(Arrangement(1, 1), 4, 2), pictures, 0.3)
    assert 0 < load.images_per_second < 400, "a pass of at most four takes a hundredth of a second"
    assert load.p99_seconds >= 0.01
    assert max(engine.batch_sizes) == 4


@pytest.mark.parametrize("picture", [True, False])
def test_what_is_written_is_what_the_server_reads(bundle: Path, tmp_path: Path, picture: bool) -> None:
    written = tmp_path / "tuned.env"
    arguments = ["tune", str(bundle), "-o", str(written), "--seconds", "1", "--p99-ms", "5000"]
    if picture:
        (tmp_path / "discs.png").write_bytes(encode(draw_discs()))
        arguments += ["--picture", str(tmp_path / "discs.png")]
    result = CliRunner().invoke(build_command_line(), arguments)
    assert result.exit_code == 0, result.output
    text = written.read_text(encoding="utf-8")
    names = ["batches_at_once", "intra_op_threads", "decode_threads", "max_batch"]
    settings = read_settings(settings_file=written)
    for name in names:
        assert f"\nFOCALPOINT_{name.upper()}={getattr(settings, name)}\n" in text
        assert f"{name} {getattr(settings, name)}: " in result.output
    assert text.startswith("# focalpoint tune: discs 1.2.3, sha256 ")
    assert settings.model_dump(exclude=set(names)) == Settings().model_dump(exclude=set(names))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".partial"] == []


def test_flags_and_environment_come_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tuned.env"
    file.write_text("# a comment\nFOCALPOINT_MAX_BATCH=3\nFOCALPOINT_DECODE_THREADS=3\nFOCALPOINT_PORT=3\n")
    monkeypatch.setenv("FOCALPOINT_DECODE_THREADS", "4")
    monkeypatch.setenv("FOCALPOINT_PORT", "4")
    settings = read_settings(settings_file=file, port=5)
    assert (settings.max_batch, settings.decode_threads, settings.port) == (3, 4, 5)


def test_a_settings_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tuned.env"
    with pytest.raises(InvalidSetting, match=r"--settings: there is no file .*tuned\.env"):
        read_settings(settings_file=file)
    file.write_text("FOCALPOINT_MAX_BATCHES=3\n")
    with pytest.raises(InvalidSetting, match=r"--settings .*tuned\.env: FOCALPOINT_MAX_BATCHES is no setting"):
        read_settings(settings_file=file)
    file.write_text("FOCALPOINT_MAX_BATCH=none\n")
    with pytest.raises(InvalidSetting, match=r"FOCALPOINT_MAX_BATCH: .* found 'none'"):
        read_settings(settings_file=file)


def test_the_server_takes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tuned.env"
    file.write_text("FOCALPOINT_MAX_QUEUE=1\n")
    result = CliRunner().invoke(build_command_line(), ["serve", "--settings", str(file)])
    assert str(result.exception).startswith("max_queue (1) is smaller than max_boxes")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--provider", "tpu"], "--provider: expected cpu or cuda, found tpu"),
        (["-o", "nowhere/tuned.env"], "--output: there is no folder nowhere"),
        (["--picture", "no.jpg"], "--picture no.jpg: No such file"),
    ],
)
def test_what_cannot_be_measured_is_named(bundle: Path, arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(build_command_line(), ["tune", str(bundle), *arguments])
    assert result.exit_code != 0
    assert words in str(result.exception)
