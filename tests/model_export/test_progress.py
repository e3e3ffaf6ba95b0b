"""The time left, on paper and on a terminal."""

import io

from rich.console import Console

from model_export.progress import training_progress

RECORD = {
    "epoch": 1,
    "base_loss": 2.5,
    "difficulty_mean": 0.5,
    "difficulty_spread": 0.1,
    "difficulty_loss_correlation": 0.25,
    "seconds": 40.0,
    "loader_share": 0.375,
    "validation_nme": 0.125,
}


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_lines_tell_the_time_left_and_a_starving_loader() -> None:
    text, clock = io.StringIO(), Clock()
    with training_progress(Console(file=text, width=300), 4, clock) as progress:
        for step in range(3, 6):  # resumed in the second epoch, after two of its five steps
            clock.now += 10
            progress.step_done(1, step, 5)
        clock.now += 15  # validation
        progress.epoch_done(RECORD)
    lines = text.getvalue().split("\n")
    assert lines[0] == (
        "epoch 2/4  base loss 2.5000  difficulty 0.500 ± 0.100 (correlation with loss +0.25)  40 s, "
        "38% waiting for the loader  nme 0.125  0:02:30 left"  # ten steps at 45 s for three
    )


def test_a_long_epoch_writes_a_line_every_ten_minutes() -> None:
    text, clock = io.StringIO(), Clock()
    with training_progress(Console(file=text, width=300), 1, clock) as progress:
        for step in range(1, 31):
            clock.now += 60
            progress.step_done(0, step, 100)
    lines = [line for line in text.getvalue().split("\n") if line]
    assert lines == ["epoch 1/1  step 11/100  1:29:00 left", "epoch 1/1  step 22/100  1:18:00 left"]


def test_a_terminal_shows_a_bar_instead() -> None:
    text, clock = io.StringIO(), Clock()
    with training_progress(Console(file=text, width=100, force_terminal=True), 1, clock) as progress:
        clock.now += 6000
        progress.step_done(0, 1, 3)
        progress.bar.refresh()
    shown = text.getvalue()
    assert "epoch 1/1  step 1/3" in shown
    assert "3:20:00 left" in shown
