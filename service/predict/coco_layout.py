"""COCO's results file, and the pictures that its image ids are of.

The ids are those of an annotation file, found by its `file_name`; or running numbers from 1, and then a second file
beside the results, `NAME.images.json`, says what they are: an annotation file without annotations, which
`pycocotools.coco.COCO` opens and whose `loadRes` takes the results.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from service.answer_encoding import coco_category
from service.contract.coco_results import coco_result
from service.errors import InvalidSetting, StartupError
from service.predict.results import Results, Writer, written_aside
from service.predict.rows import Row
from service.predict.sources import Source

_ONLY_CATEGORY = 1


class _Ids(NamedTuple):
    image_ids: Mapping[str, int | str]
    category_id: int


def plan_coco(path: Path, sources: Sequence[Source], annotations: Path | None) -> Writer:
    """Results, with the ids of an annotation file or running numbers.

    Raises:
        InvalidSetting: the path is a folder, or there are videos beside an annotation file.
        StartupError: the annotations cannot be read, or do not list a picture.
    """
    if path.is_dir() or not path.suffix:
        raise InvalidSetting(f"--output {path}: expected a file for --format coco, as results.json")
    if annotations is None:
        return Writer(path, lambda results: _write_numbered(path, results))
    if any(source.is_video for source in sources):
        raise InvalidSetting("--coco-annotations: expected pictures only, found a video")
    ids = _read_ids(annotations)
    for source in sources:
        if source.name not in ids.image_ids:
            raise StartupError(
                f"--coco-annotations {annotations}: images: expected a file_name {source.name}, found none"
            )
    return Writer(path, lambda results: _write_results(path, _results_by_name(results, ids)))


def _read_ids(path: Path) -> _Ids:
    try:
        content = orjson.loads(path.read_bytes())
        image_ids = {image["file_name"]: image["id"] for image in content["images"]}
        categories = [category["id"] for category in content.get("categories", []) if "keypoints" in category]
    except OSError as error:
        raise StartupError(f"--coco-annotations {path} cannot be read ({error.strerror})") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise StartupError(f"--coco-annotations {path}: expected COCO's images with id and file_name") from error
    if len(categories) > 1:
        raise StartupError(
            f"--coco-annotations {path}: expected one category with keypoints, found those with the ids {categories}"
        )
    return _Ids(image_ids, *(categories or [_ONLY_CATEGORY]))


def _results_by_name(results: Results, ids: _Ids) -> Iterator[dict[str, Any]]:
    for row in results.rows():
        yield from _results_of(row, ids.image_ids[row.file], ids.category_id)


def _results_of(row: Row, image_id: int | str, category_id: int) -> Iterator[dict[str, Any]]:
    for one in row.estimate.instances if row.estimate else []:
        score = round(float(one.scores.mean()), 4)
        yield coco_result(image_id, one.points_in_image, one.scores.astype(float).round(4), score, category_id)


def _write_results(path: Path, entries: Iterator[dict[str, Any]]) -> None:
    with written_aside(path) as partial, partial.open("wb") as file:
        before = b"[\n"
        for entry in entries:
            file.write(before + orjson.dumps(entry))
            before = b",\n"
        file.write(b"\n]\n" if before == b",\n" else b"[]\n")


def _write_numbered(path: Path, results: Results) -> None:
    """Pictures that cannot be read have no number."""
    images: list[dict[str, Any]] = []

    def entries() -> Iterator[dict[str, Any]]:
        for row in results.rows():
            if row.estimate is not None:
                images.append(_image(row, len(images) + 1))
                yield from _results_of(row, len(images), _ONLY_CATEGORY)

    _write_results(path, entries())
    category = coco_category(results.model.name, results.model.keypoints)
    with written_aside(path.with_suffix(f".images{path.suffix}")) as partial:
        partial.write_bytes(
            orjson.dumps({"info": {}, "images": images, "annotations": [], "categories": [category]}) + b"\n"
        )


def _image(row: Row, number: int) -> dict[str, Any]:
    assert row.estimate is not None, "only pictures that were looked at have a number"
    size = {"width": row.estimate.width, "height": row.estimate.height}
    return {"id": number, "file_name": row.file, **({} if row.frame is None else {"frame": row.frame}), **size}
