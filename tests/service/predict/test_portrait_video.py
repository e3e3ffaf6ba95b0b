"""300 frames of a published picture: a table, results, rows and a drawing; killed in the middle, and not."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from service.contract.bundle_manifest import BundleManifest
from tests.service.predict.predict_runs import FACES, moving_portrait, points_of, predict, read_lines, write_video

FRAMES, SIZE = 300, 192
NAMES = BundleManifest.load(FACES).keypoints.names


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", moving_portrait(FRAMES, SIZE))


@pytest.fixture(scope="module")
def outputs(clip: Path) -> Path:
    """A folder with everything that one run writes."""
    folder = clip.parent / "outputs"
    folder.mkdir()
    names = {"rows.jsonl": "jsonl", "table.csv": "csv", "results.json": "coco", "drawn.mp4": "drawn"}
    chosen = [argument for name, form in names.items() for argument in ("-o", folder / name, "--format", form)]
    ended = predict(clip, *chosen, "--model", FACES)
    assert ended.exit_code == 0
    assert ended.stdout.startswith("300 frames, ")
    assert {path.name for path in folder.iterdir()} == {*names, "results.images.json"}
    return folder


def test_killed_and_started_again_it_has_one_row_for_each_frame_as_if_it_had_not_been(
    clip: Path, outputs: Path, tmp_path: Path
) -> None:
    output = tmp_path / "rows.jsonl"
    command = [sys.executable, "-m", "service", "predict", str(clip), "-o", str(output), "--model", str(FACES)]
    journal = tmp_path / "rows.jsonl.progress"
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 200
    while not journal.exists() or journal.read_bytes().count(b"\n") < 60:
        assert running.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.wait(30)
    assert not output.exists()
    left = journal.read_bytes().count(b"\n") - 1
    assert 59 <= left < FRAMES

    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=200)
    assert f"300 frames, {left} of them by an earlier run" in ended.stdout
    assert not journal.exists()
    rows, expected = read_lines(output), read_lines(outputs / "rows.jsonl")
    assert [row["frame"] for row in rows] == [row["frame"] for row in expected] == list(range(FRAMES))
    found, whole = np.stack(list(map(points_of, rows))), np.stack(list(map(points_of, expected)))
    # Measured: no difference in the digits that are written, even of frames that are looked at one by one.
    assert np.abs(found - whole)[..., :2].max() <= 0.01
    assert np.abs(found - whole)[..., 2].max() <= 0.001


def test_the_keypoints_move_with_the_face(outputs: Path) -> None:
    rows = np.stack([points_of(row)[0] for row in read_lines(outputs / "rows.jsonl")])
    nose = NAMES.index("nose_bridge_3")
    frames = np.arange(FRAMES)
    zoom = SIZE / 512 * (1 + 0.2 * np.sin(frames / 37))
    moved = SIZE / 2 - 256 * zoom + 10 * SIZE / 512 * np.sin(frames / 20)
    in_portrait = (rows[:, nose, 0] - moved) / zoom
    # Measured: a mean of 225.4 and a standard deviation of 0.92 px of the portrait's 512; the frames have 192.
    assert in_portrait.mean() == pytest.approx(225.4, abs=2)
    assert in_portrait.std() < 2


def test_pandas_reads_the_table_under_deeplabcuts_header(outputs: Path) -> None:
    table = pd.read_csv(outputs / "table.csv", header=[0, 1, 2], index_col=0)
    assert table.columns.names == ["scorer", "bodyparts", "coords"]
    assert table.index.tolist() == list(range(FRAMES))
    assert table.columns.tolist() == [
        ("focalpoint_face68_1.0.0", name, coord) for name in NAMES for coord in ("x", "y", "likelihood")
    ]
    rows = np.stack([points_of(row)[0] for row in read_lines(outputs / "rows.jsonl")])
    assert np.array_equal(table.to_numpy().reshape(FRAMES, len(NAMES), 3), rows)


def test_pycocotools_takes_the_results_and_finds_them_perfect_against_themselves(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = json.loads((outputs / "results.images.json").read_text(encoding="utf-8"))
    results = json.loads((outputs / "results.json").read_text(encoding="utf-8"))
    assert [image["frame"] for image in images["images"]] == list(range(FRAMES))
    assert [result["image_id"] for result in results] == [image["id"] for image in images["images"]]
    truth = COCO(str(outputs / "results.images.json"))
    loaded = truth.loadRes(str(outputs / "results.json"))
    assert len(loaded.getAnnIds()) == FRAMES

    truth.dataset["annotations"] = [
        {**result, "iscrowd": 0, "num_keypoints": len(NAMES), "keypoints": _visible(result["keypoints"])}
        for result in loaded.dataset["annotations"]
    ]
    truth.createIndex()
    evaluation = COCOeval(truth, loaded, "keypoints")
    evaluation.params.kpt_oks_sigmas = np.full(len(NAMES), 0.05)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def _visible(keypoints: list[float]) -> list[float]:
    return [2 if index % 3 == 2 else number for index, number in enumerate(keypoints)]


def test_the_drawn_video_has_as_many_frames_and_is_changed_only_where_the_face_is(clip: Path, outputs: Path) -> None:
    rows = read_lines(outputs / "rows.jsonl")
    before, after = cv2.VideoCapture(str(clip)), cv2.VideoCapture(str(outputs / "drawn.mp4"))
    seen = 0
    while True:
        (read, original), (also_read, drawn) = before.read(), after.read()
        assert read == also_read
        if not read:
            break
        if seen % 50 == 0:
            changed = np.abs(drawn.astype(int) - original).max(axis=2) > 90
            points = points_of(rows[seen])[0, :, :2]
            ys, xs = np.nonzero(changed)
            distances = np.hypot(xs[:, None] - points[:, 0], ys[:, None] - points[:, 1])
            assert len(xs) > len(NAMES)
            # Measured: at most 3.6 px, on a line between two keypoints; where the dots are, `test_drawings.py` knows.
            assert distances.min(axis=1).max() < 6
        seen += 1
    assert seen == FRAMES
