"""Settings: flags before variables before defaults, and one sentence for what is not valid."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.errors import InvalidSetting
from service.settings import Settings, read_settings, usable_cores


def test_flags_override_variables_and_those_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOCALPOINT_PORT", "8001")
    monkeypatch.setenv("FOCALPOINT_MAX_BATCH", "3")
    monkeypatch.setenv("FOCALPOINT_HOST", "")
    monkeypatch.setenv("FOCALPOINT_DATA", "/somewhere")  # the tests' own variable is none of the server's
    settings = read_settings(port=9000, max_batch=None)
    assert (settings.port, settings.max_batch, settings.host) == (9000, 3, "127.0.0.1")
    assert settings.model == Path("models/face68")


def test_what_is_not_valid_is_named_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match=r"^--max-batch: .* greater than or equal to 1, found 0$"):
        read_settings(max_batch=0)
    with pytest.raises(InvalidSetting, match=r"^max_queue \(1\) is smaller than max_boxes \(64\)"):
        read_settings(max_queue=1)
    monkeypatch.setenv("FOCALPOINT_PROVIDER", "tpu")
    with pytest.raises(InvalidSetting, match=r"^FOCALPOINT_PROVIDER: .*'cpu' or 'cuda', found 'tpu'$"):
        read_settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_there_is_a_core_to_use() -> None:
    assert usable_cores() >= 1


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_a_containers_quota_counts(tmp_path: Path, files: dict[str, str], cores: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="ascii")
    all_cores = usable_cores(tmp_path / "nowhere")
    assert usable_cores(tmp_path) == (all_cores if cores is None else cores)
