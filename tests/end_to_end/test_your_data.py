"""The tutorial is true: its blocks run one after the other, and its answer is that of models/mouse17.

Training is the one thing that is shortened here, by the flag that the page itself names: the whole of it takes minutes.
After new weights in models/mouse17, to show their answer:
    python -c "from tests.end_to_end.test_your_data import write; write()"
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_export.recipe import DATA_VARIABLE
from service.contract.bundle_manifest import BundleManifest
from service.model_loading import load_model
from tests.end_to_end.test_readme import ADDRESS, abridged, assert_agrees, only
from tests.service.conftest import RunningServer, running_server

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "your_data.md"
BUNDLE = REPOSITORY / "models" / "mouse17"
PROGRAM = ".venv-dev/bin/focalpoint"
QUICK_FLAGS = "--set optimisation.epochs=2 --run runs/trial"  # what the page says to try first
START_SECONDS = 60

needs_the_mouse = pytest.mark.skipif(
    not (Path(os.environ.get(DATA_VARIABLE, "/nowhere")) / "mirror_mouse").is_dir(),
    reason=f"{DATA_VARIABLE} names no folder that holds mirror_mouse",
)


def blocks(language: str) -> list[str]:
    """The page's fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def block_with(text: str) -> str:
    return only([block for block in blocks("bash") if text in block])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the page's relative paths lead to the repository's files, and what it makes stays apart."""
    for name in ("model_export", "tests"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / PROGRAM).parent.mkdir(parents=True)
    (tmp_path / PROGRAM).symlink_to(Path(sys.executable).parent / "focalpoint")
    (tmp_path / "models").mkdir()
    return tmp_path


def run(block: str, folder: Path) -> str:
    ended = subprocess.run(
        ["bash", "-euc", block], cwd=folder, env={**os.environ, "no_proxy": "*"},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, f"{block}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture
def endpoint(folder: Path) -> Iterator[str]:
    """The page's server, started when it is first needed: its bundle must be there by then."""
    run(block_with("cp "), folder)
    training = block_with(f"{PROGRAM} train")
    assert f"`{QUICK_FLAGS}`" in PAGE.read_text(encoding="utf-8").replace("\n", " ")
    run(training.strip() + f" {QUICK_FLAGS}", folder)
    (folder / "runs" / "mouse17").symlink_to(folder / "runs" / "trial")
    assert "EPE" in run(block_with(f"{PROGRAM} export"), folder)
    assert (folder / "my_mouse.png").stat().st_size > 10_000
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    serving = block_with(f"{PROGRAM} serve").replace("8000", str(port)).split()
    with subprocess.Popen(serving, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_ready(url, process)
            yield url
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _wait_until_ready(url: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"not ready after {START_SECONDS} s")


@needs_the_mouse
def test_the_page_leads_from_the_csv_to_an_endpoint(endpoint: str, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    answer = json.loads(run(block_with("curl ").replace(ADDRESS, endpoint), folder))
    names = [keypoint["name"] for keypoint in answer["instances"][0]["keypoints"]]
    assert names[0] == "paw1LH_top"
    assert len(names) == 17
    assert answer["image"] == {"width": 396, "height": 406}


@needs_the_mouse
def test_the_first_rows_and_the_check_are_as_the_page_says(folder: Path) -> None:
    rows = run(block_with("head -n 3"), folder).splitlines()
    assert [row.split(",")[0] for row in rows] == ["scorer", "bodyparts", "coords"]
    run(block_with("cp "), folder)
    checked = run(block_with("check-data"), folder)
    assert "90 objects in 90 pictures" in checked
    assert {line.split()[1] for line in checked.splitlines() if line.startswith(("warning", "error"))} == {
        "flip_pair_name",
        "same_picture",
    }
    assert len(list((folder / "runs" / "my_labels").glob("*.png"))) > 10


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(load_model(BUNDLE, "cpu", intra_op_threads=1)) as running:
        yield running


def answer_of(server: RunningServer) -> Any:
    return json.loads(run(block_with("curl ").replace(ADDRESS, server.url), REPOSITORY))


def test_the_answer_shown_is_that_of_the_shipped_bundle(server: RunningServer) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    shown = json.loads(re.sub(r",\s*\.\.\.", "", only(blocks("json"))))
    assert_agrees(shown, answer_of(server), "answer")


def test_the_figures_of_the_page_are_those_of_the_bundle() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for figure in BundleManifest.load(BUNDLE).accuracy:
        if figure.metric == "EPE":
            assert f"{figure.value:.1f} pixels" in text
        elif figure.metric.startswith("PCK"):
            assert f"| {figure.metric} | {figure.value:.1%} |".replace("%", " %") in text


def write() -> None:
    """Put the answer of models/mouse17 into the page."""
    with running_server(load_model(BUNDLE, "cpu", intra_op_threads=1)) as running:
        shown = abridged(answer_of(running))
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text.replace(f"```json\n{only(blocks('json'))}```", f"```json\n{shown}```"), encoding="utf-8")
