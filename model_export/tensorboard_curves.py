"""The curves of a run for TensorBoard: event files in the run folder, written without TensorBoard itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from tensorboardX import SummaryWriter

from model_export.epoch_record import VALIDATION_PREFIX, EpochRecord
from model_export.run_folder import RunFolder

TENSORBOARD_FOLDER = "tensorboard"


class EpochWriter:
    """Writes the records of epochs: `training/...` and `validation/...` over the number of epochs done."""

    def __init__(self, writer: SummaryWriter):
        self.writer = writer

    def add(self, record: EpochRecord) -> None:
        """One epoch; what was not measured (None) is left out."""
        for key, value in record.items():
            if key != "epoch" and value is not None:
                split = "validation" if key.startswith(VALIDATION_PREFIX) else "training"
                self.writer.add_scalar(f"{split}/{key.removeprefix(VALIDATION_PREFIX)}", value, record["epoch"] + 1)
        self.writer.flush()


@contextmanager
def tensorboard_writer(run: RunFolder) -> Iterator[EpochWriter]:
    """Event files that go on after the run's last recorded epoch: what an interrupted epoch wrote is superseded."""
    first = len(run.read_metrics()) + 1
    # The file's name has the time in seconds only; with the epoch a quick resume never takes that of its predecessor.
    folder, suffix = str(run.path / TENSORBOARD_FOLDER), f".from-epoch-{first}"
    with SummaryWriter(folder, purge_step=first, filename_suffix=suffix) as writer:
        yield EpochWriter(writer)
