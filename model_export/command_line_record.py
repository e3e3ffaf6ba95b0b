"""The command lines that a run and a bundle record: as they were given, but for folders that nobody else has."""

import shlex
from collections.abc import Sequence
from pathlib import Path


def command_line(command: str, *arguments: Path | str) -> str:
    """`focalpoint COMMAND ...` as a shell reads it, paths as `shown_path` gives them."""
    shown = [shown_path(argument) if isinstance(argument, Path) else argument for argument in arguments]
    return shlex.join(["focalpoint", command, *shown])


def shown_path(path: Path) -> str:
    """A path relative to the working folder; of one that lies elsewhere the name alone: a bundle is passed on."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else absolute.name


def train_options(*, resume: bool, no_afl: bool, seed: int | None, settings: Sequence[str]) -> list[str]:
    """The options of `focalpoint train` that change what is trained."""
    options = [flag for flag, given in (("--resume", resume), ("--no-afl", no_afl)) if given]
    options += [] if seed is None else [f"--seed={seed}"]
    return [*options, *(f"--set={setting}" for setting in settings)]
