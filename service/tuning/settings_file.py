"""The settings that were chosen, as a file that `focalpoint serve --settings`, a shell, Docker and systemd read."""

from collections.abc import Sequence
from pathlib import Path

from service.settings import variable_of
from service.tuning.choice import Candidate, Tuning


def chosen_settings(chosen: Candidate) -> dict[str, int]:
    """The settings by name."""
    return {
        "batches_at_once": chosen.arrangement.batches_at_once,
        "intra_op_threads": chosen.arrangement.intra_op_threads,
        "decode_threads": chosen.decode_threads,
        "max_batch": chosen.max_batch,
    }


def write_settings(path: Path, tuning: Tuning, origin: Sequence[str]) -> None:
    """Write `FOCALPOINT_...=` lines, each below its reason, aside first and then renamed.

    Args:
        path: of the file.
        tuning: what was chosen.
        origin: what the file was made from, for its head.
    """
    lines = [f"# {line}" for line in origin]
    for name, value in chosen_settings(tuning.chosen).items():
        lines += [f"# {tuning.reasons[name]}", f"{variable_of(name)}={value}"]
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(path)
