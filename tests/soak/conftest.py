"""Long tests in two lengths: bounded ones in `make test`, the full ones in `make soak` (FOCALPOINT_SOAK=1)."""

import os
from pathlib import Path

import pytest

from tests.fakes import write_bundle

AT_LENGTH = os.environ.get("FOCALPOINT_SOAK") == "1"


def at_length(short: int, full: int) -> int:
    """A number for `make test`, and another for `make soak`."""
    return full if AT_LENGTH else short


@pytest.fixture(scope="session")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake model as a bundle on disk: what is measured is the server, not a network."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "discs")
