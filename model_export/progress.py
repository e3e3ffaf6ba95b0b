"""What a person sees of a run: a bar with the time left on a terminal; elsewhere a line at least every ten minutes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from model_export.epoch_record import EpochRecord, followed_figures

_SECONDS_BETWEEN_LINES = 600.0
_FIGURES_IN_A_LINE = 3


@dataclass(slots=True)
class TrainingProgress:
    """Counts steps and says how long the rest will take, judged by the steps of this process.

    Attributes:
        epochs: of the whole run.
        clock: seconds.
        started, last_line: when this process began to train, and when it last wrote a line.
        steps, steps_per_epoch: of this process so far; of any epoch.
    """

    console: Console
    bar: Progress
    task: TaskID
    epochs: int
    clock: Callable[[], float]
    started: float
    last_line: float
    steps: int = 0
    steps_per_epoch: int = 0

    def step_done(self, epoch: int, done: int, total: int) -> None:
        """After each step: the epoch (from zero), its steps so far and all of them."""
        self.steps, self.steps_per_epoch = self.steps + 1, total
        left = self._time_left((self.epochs - epoch) * total - done)
        where = f"epoch {epoch + 1}/{self.epochs}  step {done}/{total}"
        self.bar.update(self.task, completed=done, total=total, description=where, left=left)
        if not self.console.is_terminal and self.clock() - self.last_line > _SECONDS_BETWEEN_LINES:
            self._line(f"{where}  {left} left")

    def epoch_done(self, record: EpochRecord) -> None:
        """After each epoch."""
        left = self._time_left((self.epochs - record["epoch"] - 1) * self.steps_per_epoch)
        self._line(f"{describe_epoch(record, self.epochs)}  {left} left")

    def _time_left(self, steps: int) -> timedelta:
        return timedelta(seconds=round((self.clock() - self.started) / max(self.steps, 1) * steps))

    def _line(self, text: str) -> None:
        self.console.print(text)
        self.last_line = self.clock()


@contextmanager
def training_progress(
    console: Console, epochs: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[TrainingProgress]:
    """Progress of a run of so many epochs."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]} left"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("the first step", total=None, left="?")
        yield TrainingProgress(console, bar, task, epochs, clock, started=clock(), last_line=clock())


def describe_epoch(record: EpochRecord, epochs: int) -> str:
    """One line; a loader that keeps the network waiting shows as its share of the time."""
    line = f"epoch {record['epoch'] + 1}/{epochs}  base loss {record['base_loss']:.4f}"
    line += f"  difficulty {record['difficulty_mean']:.3f} ± {record['difficulty_spread']:.3f}"
    line += f" (correlation with loss {record['difficulty_loss_correlation']:+.2f})"
    line += f"  {record['seconds']:.0f} s, {record['loader_share']:.0%} waiting for the loader"
    for key, value in list(followed_figures(record).items())[:_FIGURES_IN_A_LINE]:
        line += f"  {key} {'nothing to measure' if value is None else f'{value:.4g}'}"
    return line
