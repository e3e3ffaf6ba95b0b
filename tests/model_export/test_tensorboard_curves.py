"""What TensorBoard will read is what the run recorded."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from model_export.epoch_record import EpochRecord
from model_export.run_folder import RunFolder
from model_export.tensorboard_curves import TENSORBOARD_FOLDER, tensorboard_writer


def read_events(path: Path) -> Iterator[Event]:
    """TensorFlow's record file: length (8 bytes), its checksum (4), the event, its checksum (4)."""
    content, start = path.read_bytes(), 0
    while start < len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        yield Event.FromString(content[start + 12 : start + 12 + length])
        start += 16 + length


def curves(run: RunFolder) -> dict[str, dict[int, float]]:
    """Tag -> step -> value, as TensorBoard shows it: a later file supersedes the steps from its start on."""
    found: dict[str, dict[int, float]] = {}
    for path in sorted((run.path / TENSORBOARD_FOLDER).iterdir(), key=lambda path: path.stat().st_mtime_ns):
        for event in read_events(path):
            if event.HasField("session_log"):
                for values in found.values():
                    for step in [step for step in values if step >= event.step]:
                        del values[step]
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_epochs_are_written_and_a_resumed_run_goes_on(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    records: list[EpochRecord] = [
        {"epoch": 0, "base_loss": 4.0, "seconds": 2.5},
        {"epoch": 1, "base_loss": 2.0, "seconds": 2.0, "validation_nme": 0.25, "validation_auc": None},
        {"epoch": 2, "base_loss": 1.0, "seconds": 2.0},
    ]
    with tensorboard_writer(run) as writer:
        for record in records[:2]:
            writer.add(record)
        run.append_metrics(records[0])  # the second epoch's record was lost with the process
    with tensorboard_writer(run) as writer:
        for record in (records[1] | {"base_loss": 3.0}, records[2]):
            writer.add(record)
    assert curves(run) == {
        "training/base_loss": {1: 4.0, 2: 3.0, 3: 1.0},
        "training/seconds": {1: 2.5, 2: 2.0, 3: 2.0},
        "validation/nme": {2: 0.25},
    }
