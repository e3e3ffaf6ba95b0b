"""The rows so far, whatever moment ended the process."""

from pathlib import Path

import pytest

from service.errors import StartupError
from service.predict.journal import open_journal

WHAT = {"model": {"sha256": "ab"}, "files": {"a.png": [1, 2]}}
ROWS = [b'{"file":"a.png"}\n', b'{"file":"b.png","problem":"x"}\n', b'{"file":"c.png"}\n']


def test_cut_off_at_any_byte_it_goes_on_after_the_last_whole_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.progress"
    with open_journal(path, WHAT) as journal:
        for row in ROWS:
            journal.append(row)
        assert (journal.rows, list(journal.lines())) == (3, ROWS)
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        with open_journal(path, WHAT) as journal:
            kept = journal.rows
            assert kept == max(0, whole[:length].count(b"\n") - 1)
            assert journal.last == (ROWS[kept - 1] if kept else b"")
            for row in ROWS[kept:]:
                journal.append(row)
        assert path.read_bytes() == whole


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "rows.progress"
    with (
        open_journal(path, WHAT),
        pytest.raises(StartupError, match="another focalpoint predict is at work on it"),
        open_journal(path, WHAT),
    ):
        pass


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.progress"
    for content in (b"my notes\n", b"[1, 2]\n", b'{"model": 1}\n'):
        path.write_bytes(content)
        with pytest.raises(StartupError, match=r"not a journal|another version"), open_journal(path, WHAT):
            pass
        assert path.read_bytes() == content
    with pytest.raises(StartupError, match="cannot be written"), open_journal(tmp_path, WHAT):
        pass
