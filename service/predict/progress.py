"""The progress bar: on a terminal only, on the error stream, so that it is in nobody's file."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.predict.job import JobProgress


@contextmanager
def progress_bar(total: int | None) -> Iterator[JobProgress]:
    """A bar over so many frames; None: nobody knows how many. It is gone when the block ends."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("frames", total=total, pace="")

        def advance(rows: int) -> None:
            progress.advance(task, rows)
            speed = progress.tasks[0].speed
            progress.update(task, pace="" if speed is None else f"{speed:.1f}/s")

        yield JobProgress(advance, lambda name: progress.update(task, description=f"writing {name}"))
