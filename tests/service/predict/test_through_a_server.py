"""`--url`: the points of the bundle, and what is said where the server is not as it should be."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.errors import InvalidSetting, StartupError
from service.model_loading import load_model
from tests.fakes import write_bundle
from tests.service.client.scripted_server import answer, keypoints, problem, scripted
from tests.service.conftest import RunningServer, running_repository, running_server
from tests.service.predict.predict_runs import (
    FACES,
    PORTRAIT,
    moving_portrait,
    points_of,
    predict,
    read_lines,
    write_disc_pictures,
    write_video,
)


@pytest.fixture(scope="module")
def faces_server() -> Iterator[RunningServer]:
    with running_server(load_model(FACES, "cpu", intra_op_threads=1)) as running:
        yield running


def test_a_server_finds_what_the_bundle_finds(faces_server: RunningServer, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "portrait.jpg").write_bytes(PORTRAIT.read_bytes())
    write_video(inputs / "clip.avi", moving_portrait(12, 256))
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("file,frame,x,y,width,height\nportrait.jpg,,174,84,102,100\nclip.avi,3,80,60,60,60\n")
    for chosen in ([], ["--boxes", boxes]):
        here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
        assert predict(inputs, "-o", here, "--model", FACES, *chosen).exit_code == 0
        assert predict(inputs, "-o", there, "--url", faces_server.url, *chosen).exit_code == 0
        for row, same in zip(read_lines(here), read_lines(there), strict=True):
            assert (row["file"], row.get("frame"), row["image"]) == (same["file"], same.get("frame"), same["image"])
            assert len(row["instances"]) == len(same["instances"])
            # Measured: no difference in the digits that are written.
            assert np.allclose(points_of(row), points_of(same), rtol=0, atol=0.01)


def test_one_picture_is_asked_for_too(faces_server: RunningServer, tmp_path: Path) -> None:
    by_server = predict(PORTRAIT, "--json", "--url", faces_server.url).stdout
    assert by_server == predict(PORTRAIT, "--json", "--model", FACES).stdout
    drawn = tmp_path / "out.png"
    assert "68 keypoints each" in predict(PORTRAIT, "-o", drawn, "--url", faces_server.url).stdout
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_the_server_refuses_is_a_row(server: RunningServer, tmp_path: Path) -> None:
    folder = write_disc_pictures(tmp_path / "pictures", 3)
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:150])
    output = tmp_path / "rows.jsonl"
    ended = predict(folder, "-o", output, "--url", server.url)
    assert ended.exit_code == 1
    rows = read_lines(output)
    assert rows[1]["problem"] == "the PNG image is cut off or broken"
    assert [len(row.get("instances", [])) for row in rows] == [1, 0, 1]


def test_of_several_models_one_is_named(tmp_path: Path) -> None:
    root = tmp_path / "models"
    write_bundle(root / "discs")
    write_bundle(root / "others", name="others")
    folder, output = write_disc_pictures(tmp_path / "pictures", 1), tmp_path / "rows.jsonl"
    with running_repository(root, lambda path: load_model(path, "cpu", 1)) as running:
        with pytest.raises(InvalidSetting, match=r"--model: expected one of those that .* serves: discs, others"):
            predict(folder, "-o", output, "--url", running.url)
        with pytest.raises(StartupError, match="none"):
            predict(folder, "-o", output, "--url", running.url, "--model", "none")
        assert predict(folder, "-o", output, "--url", running.url, "--model", "others").exit_code == 0
    assert read_lines(output)[0]["model"]["name"] == "others"


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = write_disc_pictures(tmp_path / "pictures", 1)
    with pytest.raises(InvalidSetting, match="--url: "):
        predict(folder, "-o", tmp_path / "rows.jsonl", "--url", "no address")


@pytest.mark.parametrize("listens", [False, True])
def test_a_server_that_does_not_answer_is_said_at_once(tmp_path: Path, listens: bool) -> None:
    folder = write_disc_pictures(tmp_path / "pictures", 1)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if listens:
            bound.listen()  # and says nothing
        url, began = f"http://127.0.0.1:{bound.getsockname()[1]}", time.monotonic()
        sentence = rf"^--url {url}: expected a Focalpoint server that answers within 3 s, found none \(.+\)$"
        with pytest.raises(StartupError, match=sentence):
            predict(folder, "-o", tmp_path / "rows.jsonl", "--url", url)
    assert time.monotonic() - began < 60  # measured: 3 s; a patient client takes minutes


def test_a_server_that_is_lost_later_is_waited_for_and_a_line_says_so(tmp_path: Path) -> None:
    details = {
        "name": "m", "version": "1", "versions": ["1"], "description": "", "intended_use": "", "card": "",
        "keypoint_names": ["tip"], "skeleton": [], "flip_pairs": [], "oks_sigmas": None, "accuracy": [],
        "licence": {"name": "", "summary": "", "research_only": False}, "input_width": 8, "input_height": 8,
        "sha256": {}, "provider": "cpu",
    }  # fmt: skip
    lost = problem(503, "not-ready", "starts anew", retry_after_ms=1)
    folder, output = write_disc_pictures(tmp_path / "pictures", 1), tmp_path / "rows.jsonl"
    with scripted(answer(200, details), *[lost] * 8, keypoints(x=7)) as server:
        ended = predict(folder, "-o", output, "--url", server.url, "--model", "m")
    assert ended.exit_code == 0
    assert points_of(read_lines(output)[0])[0, 0, 0] == 7
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"focalpoint: waiting up to 10 minutes for the server: {server.url}/v1/keypoints answered")
