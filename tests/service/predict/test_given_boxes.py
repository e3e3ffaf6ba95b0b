"""Boxes from a file."""

import json
from pathlib import Path

import pytest

from service.contract.crop_transform import Box
from service.errors import StartupError
from service.predict.given_boxes import read_boxes
from service.predict.sources import Source

SOURCES = [Source("a.png", Path("a.png"), False, 1, 1), Source("clip.mp4", Path("clip.mp4"), True, 1, 1)]


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    table, listed = tmp_path / "boxes.csv", tmp_path / "boxes.json"
    table.write_text("frame,file,x,y,width,height,extra\n,a.png,1,2,3,4,\n7,clip.mp4,1.5,2,3,4,\n7,clip.mp4,5,6,7,8,\n")
    entries = [
        {"file": "a.png", "box": [1, 2, 3, 4]},
        {"file": "clip.mp4", "frame": 7, "box": [1.5, 2, 3, 4]},
        {"file": "clip.mp4", "frame": 7, "box": [5, 6, 7, 8]},
    ]
    listed.write_text(json.dumps(entries))
    for path in (table, listed):
        boxes_of = read_boxes(path, SOURCES, 2)
        assert boxes_of("a.png", None) == [Box(1, 2, 3, 4)]
        assert boxes_of("clip.mp4", 7) == [Box(1.5, 2, 3, 4), Box(5, 6, 7, 8)]
        assert boxes_of("clip.mp4", 8) is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("b.csv", "file,x,y\n", "line 1: expected the columns file,frame,x,y,width,height, found no width, height"),
        ("b.csv", "file,x,y,width,height\nb.png,1,2,3,4\n", "line 2: file: expected one of those .* found 'b.png'"),
        ("b.csv", "file,x,y,width,height\na.png,1,2,3,zero\n", "line 2: boxes.0.: expected four numbers"),
        ("b.csv", "file,x,y,width,height\na.png,1,2,3,0\n", "line 2: boxes.0.: .* above zero"),
        ("b.csv", "file,x,y,width,height\nclip.mp4,1,2,3,4\n", "line 2: frame: expected the number of a frame"),
        ("b.csv", "file,frame,x,y,width,height\na.png,3,1,2,3,4\n", "expected nothing, for it is a picture, found 3"),
        ("b.csv", "file,x,y,width,height\n" + "a.png,1,2,3,4\n" * 3, "a.png: expected at most 2 boxes, found 3"),
        ("b.json", "{", "is no JSON"),
        ("b.json", "[1]", "expected a list of"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(StartupError, match=message):
        read_boxes(path, SOURCES, 2)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"--boxes .*none\.csv cannot be read"):
        read_boxes(tmp_path / "none.csv", SOURCES, 2)
