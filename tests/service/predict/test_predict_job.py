"""Jobs: what they refuse, what they survive, what they write of it."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.errors import InvalidSetting, StartupError
from service.predict import job as job_module
from service.predict.rows import Row, encode_row
from tests.fakes import draw_discs, encode, write_bundle
from tests.service.predict.predict_runs import (
    disc_centres,
    points_of,
    predict,
    read_lines,
    write_disc_pictures,
    write_disc_video,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_disc_pictures(tmp_path / "pictures", 4)


def interrupt_after(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Ctrl+C when so many rows are written."""
    left = iter(range(rows))

    def encode_or_stop(*arguments: object) -> bytes:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return encode_row(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(job_module, "encode_row", encode_or_stop)


def test_pictures_and_videos_have_a_row_for_each_frame(bundle: Path, folder: Path) -> None:
    write_disc_video(folder / "clip.avi", 5, "FFV1")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    output = folder.parent / "rows.jsonl"
    assert predict(folder, "-o", output, "--model", bundle).exit_code == 0
    rows = read_lines(output)
    assert [(row["file"], row.get("frame")) for row in rows] == [
        *((f"{index}.png", None) for index in range(4)),
        *(("clip.avi", frame) for frame in range(5)),
    ]
    for row, frame in zip(rows, [0, 1, 2, 3, 0, 1, 2, 3, 4], strict=True):
        assert np.abs(points_of(row)[0, :, :2] - disc_centres(frame)).max() < 0.5


def test_an_interrupted_job_goes_on_and_says_so(bundle: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = folder.parent / "rows.json"
    command = (folder, "-o", output, "--model", bundle, "--in-flight", 1)
    with monkeypatch.context() as patched:
        interrupt_after(patched, 2)
        ended = predict(*command)
    assert ended.exit_code == 130
    assert "the same command goes on from here" in ended.stderr
    assert not output.exists()
    assert predict(*command).stdout.startswith("4 frames, 2 of them by an earlier run, ")
    rows = json.loads(output.read_text(encoding="utf-8"))
    assert [row["file"] for row in rows] == ["0.png", "1.png", "2.png", "3.png"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["pictures", "rows.json"]


def test_another_model_other_files_and_other_options_are_refused_until_restarted(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "rows.jsonl"
    command = (folder, "-o", output, "--in-flight", 1)
    with monkeypatch.context() as patched:
        interrupt_after(patched, 2)
        predict(*command, "--model", bundle)
    other = write_bundle(tmp_path / "other", version="2.0.0")
    with pytest.raises(StartupError, match=r"another model: version has changed from 1\.2\.3 to 2\.0\.0; .*--restart"):
        predict(*command, "--model", other)
    with pytest.raises(StartupError, match="another options: boxes has changed from"):
        predict(*command, "--model", bundle, "--box", "35,25,71,71")
    shutil.copy(folder / "0.png", folder / "4.png")
    with pytest.raises(StartupError, match=r"other files: 4\.png was not among them"):
        predict(*command, "--model", bundle)
    (folder / "4.png").unlink()
    os.utime(folder / "3.png", (1, 1))
    with pytest.raises(StartupError, match=r"another files: 3\.png has changed"):
        predict(*command, "--model", bundle)
    ended = predict(*command, "--model", other, "--restart")
    assert ended.stdout.startswith("4 frames, ")
    assert "earlier" not in ended.stdout
    assert {row["model"]["version"] for row in read_lines(output)} == {"2.0.0"}


def test_a_bad_picture_is_a_row_that_says_why_and_the_others_go_on(bundle: Path, folder: Path) -> None:
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:200])
    (folder / "2.png").write_bytes(b"GIF89a and no picture")
    outputs = [folder.parent / name for name in ("rows.jsonl", "table.csv", "results.json")]
    ended = predict(
        folder, *(part for path in outputs for part in ("-o", path)), "--model", bundle,
        "--format", "jsonl", "--format", "csv", "--format", "coco",
    )  # fmt: skip
    assert ended.exit_code == 1
    assert "focalpoint: 1.png: the PNG image is cut off or broken" in ended.stderr
    assert "focalpoint: 2 without keypoints" in ended.stderr
    rows = read_lines(outputs[0])
    assert [sorted(row) for row in rows[1:3]] == [["file", "problem"]] * 2
    table = pd.read_csv(outputs[1], header=[0, 1, 2], index_col=0)
    assert table.index.tolist() == ["0.png", "1.png", "2.png", "3.png"]
    assert table.isna().all(axis=1).tolist() == [False, True, True, False]
    images = json.loads((folder.parent / "results.images.json").read_text(encoding="utf-8"))["images"]
    assert [image["file_name"] for image in images] == ["0.png", "3.png"]


def test_a_first_picture_that_is_bad_keeps_its_place_in_the_table(bundle: Path, folder: Path) -> None:
    (folder / "0.png").write_bytes(b"")
    output = folder.parent / "table.csv"
    assert predict(folder, "-o", output, "--model", bundle).exit_code == 1
    table = pd.read_csv(output, header=[0, 1, 2], index_col=0)
    assert table.index.tolist() == ["0.png", "1.png", "2.png", "3.png"]


def test_a_video_that_breaks_off_says_after_which_frame(bundle: Path, tmp_path: Path) -> None:
    clip = write_disc_video(tmp_path / "clip.avi", 40)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    outputs = ["-o", tmp_path / "rows.jsonl", "-o", tmp_path / "table.csv", "-o", tmp_path / "drawn.avi"]
    ended = predict(clip, *outputs, "--model", bundle)
    assert ended.exit_code == 1
    *rows, last = read_lines(tmp_path / "rows.jsonl")
    assert 10 < len(rows) < 30
    assert [row["frame"] for row in rows] == list(range(len(rows)))
    assert last["problem"] == f"breaks off: {len(rows)} frames can be read of the 40 in its header"
    assert last["problem"] in ended.stderr
    table = pd.read_csv(tmp_path / "table.csv", header=[0, 1, 2], index_col=0)
    assert table.index.tolist() == list(range(len(rows)))
    assert (tmp_path / "drawn.avi").stat().st_size > 0


def test_several_objects_are_deeplabcuts_individuals(bundle: Path, folder: Path) -> None:
    output, boxes = folder.parent / "table.csv", folder.parent / "boxes.csv"
    (folder.parent / "rows.jsonl").unlink(missing_ok=True)
    boxes.write_text("file,x,y,width,height\n0.png,35,25,71,71\n0.png,30,20,80,80\n2.png,35,25,71,71\n")
    assert predict(folder, "-o", output, "--boxes", boxes, "--model", bundle).exit_code == 0
    table = pd.read_csv(output, header=[0, 1, 2, 3], index_col=0)
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    scorer = "focalpoint_discs_1.2.3"
    # A picture without a box shows nothing.
    assert table.isna().all(axis=1).tolist() == [False, True, False, True]
    second = table[scorer]["individual2"]
    assert second.isna().all(axis=1).tolist() == [False, True, True, True]
    found = [table[scorer][name]["green"][["x", "y"]].loc["0.png"].tolist() for name in ("individual1", "individual2")]
    assert np.abs(np.array(found) - disc_centres(0)[1]).max() < 0.5


def test_coco_annotations_give_the_image_ids_and_the_category(bundle: Path, folder: Path) -> None:
    annotations = folder.parent / "person_keypoints.json"
    images = [{"id": 500 + index, "file_name": f"{index}.png"} for index in range(4)]
    annotations.write_text(json.dumps({"images": images, "categories": [{"id": 7, "keypoints": ["a"]}]}))
    output = folder.parent / "results.json"
    command = (folder, "-o", output, "--format", "coco", "--coco-annotations", annotations, "--model", bundle)
    assert predict(*command).exit_code == 0
    results = json.loads(output.read_text(encoding="utf-8"))
    assert [(result["image_id"], result["category_id"]) for result in results] == [(500 + i, 7) for i in range(4)]
    assert not (folder.parent / "results.images.json").exists()
    (folder / "5.png").write_bytes(encode(draw_discs()))
    with pytest.raises(StartupError, match=r"expected a file_name 5\.png, found none"):
        predict(*command)


def test_a_folder_takes_a_table_of_each_video_and_one_of_all_pictures(bundle: Path, folder: Path) -> None:
    write_disc_video(folder / "a.avi", 2)
    (folder / "day").mkdir()
    write_disc_video(folder / "day" / "a.avi", 3)
    tables = folder.parent / "tables"
    with pytest.raises(InvalidSetting, match="found 2 videos and 4 pictures"):
        predict(folder, "-o", folder.parent / "table.csv", "--model", bundle)
    assert predict(folder, "-o", tables, "--format", "csv", "--model", bundle).exit_code == 0
    lengths = {
        path.relative_to(tables).as_posix(): len(pd.read_csv(path, header=[0, 1, 2])) for path in tables.rglob("*.csv")
    }
    assert lengths == {"pictures.csv": 4, "a.csv": 2, "day/a.csv": 3}


def test_the_folder_one_is_in_takes_tables_too(bundle: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert predict(".", "-o", ".", "--format", "csv", "--model", bundle).exit_code == 0
    table = pd.read_csv(folder / "pictures.csv", header=[0, 1, 2], index_col=0)
    assert table.index.tolist() == ["0.png", "1.png", "2.png", "3.png"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["pictures"]


def test_flags_that_do_not_go_together_are_refused(bundle: Path, folder: Path, tmp_path: Path) -> None:
    model = ("--model", bundle)
    with pytest.raises(InvalidSetting, match=r"give -o OUT\.png .* -o TABLE\.csv, -o results\.json or -o FOLDER"):
        predict(folder, *model)
    with pytest.raises(InvalidSetting, match="--json: expected one picture"):
        predict(folder, "--json", "-o", tmp_path / "rows.jsonl", *model)
    with pytest.raises(InvalidSetting, match="--box and --boxes"):
        predict(folder, "-o", tmp_path / "a.csv", "--box", "1,2,3,4", "--boxes", tmp_path / "b.csv", *model)
    with pytest.raises(InvalidSetting, match="--format: expected one, or one for each of 2"):
        predict(folder, "-o", tmp_path / "a", "-o", tmp_path / "b", *(["--format", "csv"] * 3), *model)
    with pytest.raises(InvalidSetting, match=r"--format: expected jsonl, .*, found 'xml'"):
        predict(folder, "-o", tmp_path / "a.csv", "--format", "xml", *model)
    with pytest.raises(InvalidSetting, match="expected a file for --format coco"):
        predict(folder, "-o", tmp_path / "a", "--format", "coco", *model)
    with pytest.raises(InvalidSetting, match="expected different paths"):
        predict(folder, "-o", tmp_path / "a.csv", "-o", tmp_path / "a.csv", *model)
    with pytest.raises(InvalidSetting, match="to be a folder, found none"):
        predict(folder, "-o", tmp_path / "no" / "a.csv", *model)
    with pytest.raises(InvalidSetting, match="--coco-annotations: expected an --output"):
        predict(folder, "-o", tmp_path / "a.csv", "--coco-annotations", tmp_path / "c.json", *model)


def test_the_bar_is_on_the_error_stream_of_a_terminal(
    bundle: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = folder.parent / "rows.jsonl"
    assert predict(folder, "-o", output, "--model", bundle).stderr == ""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    shown = predict(folder, "-o", output, "--model", bundle)
    assert "4/4" in shown.stderr
    assert "4/4" not in shown.stdout


def test_a_row_of_what_is_wrong_says_where() -> None:
    assert Row("clip.mp4", 3).place == "clip.mp4, frame 3"
    assert Row("a.png", None).place == "a.png"
