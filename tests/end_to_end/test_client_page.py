"""The client's page is true: its blocks run against a running server and print what it shows."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.model_loading import load_model
from tests.end_to_end.test_readme import BUNDLE, run_block
from tests.service.conftest import RunningServer, running_server

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
PIXEL_TOLERANCE = 1.0  # as in the README's test; a score differs by less


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(load_model(BUNDLE, "cpu", intra_op_threads=1)) as running:
        yield running


def test_every_block_prints_as_shown(server: RunningServer) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```\n\n(?:[^`#]*?)```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == text.count("```python") == text.count("```text") == 2
    number = re.compile(r"-?\d+\.\d+(?!\.)")
    for code, shown in blocks:
        printed = run_block([sys.executable, "-W", "error", "-c"], code, server.url)
        assert number.sub("#", printed) == number.sub("#", shown)
        found = [float(text) for text in number.findall(printed)]
        assert found == pytest.approx([float(text) for text in number.findall(shown)], abs=PIXEL_TOLERANCE)
