"""`focalpoint check-data`: everything that can be seen to be wrong with a data set, in one table."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from model_export.data.keypoint_names import check_names
from model_export.data.readers import READERS, Reading, read_samples
from model_export.data_check.flip_pairs import pairs_against_names, pairs_against_points
from model_export.data_check.objects import (
    hidden_points_with_coordinates,
    keypoints_never_seen,
    missing_boxes_and_areas,
    points_outside,
    same_annotations,
)
from model_export.data_check.pictures import (
    Pictures,
    pictures_in_both,
    read_pictures,
    same_pictures,
    unlabelled_pictures,
    unreadable_pictures,
)
from model_export.data_check.problem import Problem
from model_export.data_check.sample_drawing import draw_samples
from model_export.errors import DataError, RecipeError
from model_export.recipe import AnnotatedData, load_recipe
from model_export.skeleton import load_skeleton
from service.contract.bundle_manifest import Keypoints

DRAWN_PICTURES = 24


class Source(NamedTuple):
    """Annotations to check: where they lie and how they are read; `name` is `train`, `validation` or `data`."""

    name: str
    data_format: str
    annotations: Path
    images: Path


class Checked(NamedTuple):
    """A source that has been read."""

    source: Source
    reading: Reading
    problems: list[Problem]


def recipe_sources(path: Path) -> tuple[list[Source], Keypoints]:
    """The training and validation annotations of a recipe, and its keypoints.

    Raises:
        RecipeError: the recipe cannot be used, or its data is drawn.
    """
    recipe = load_recipe(path)
    data = recipe.data
    if not isinstance(data, AnnotatedData):
        raise RecipeError(f"{path}: data.format is {data.format}: drawn data has no annotations to check")
    sources = [
        Source(name, data.format, data.folder() / annotations, data.images_folder(annotations, images))
        for name, annotations, images in (
            ("train", data.train, data.train_images),
            ("validation", data.validation, data.validation_images),
        )
        if annotations is not None  # else a share of the training pictures validates
    ]
    return sources, recipe.keypoints


def file_source(
    data_format: str, annotations: Path, images: Path | None, skeleton: str
) -> tuple[list[Source], Keypoints]:
    """One annotation file and the skeleton (a shipped one, or a path) that it is to have.

    Raises:
        RecipeError: there is no such format or skeleton.
    """
    if data_format not in READERS:
        raise RecipeError(f"--format: expected one of {', '.join(READERS)}, found {data_format!r}")
    folder = images or (annotations if annotations.is_dir() else annotations.parent)
    return [Source("data", data_format, annotations, folder)], load_skeleton(skeleton, Path())


def run_check(sources: list[Source], keypoints: Keypoints, json_file: Path | None, drawings: Path | None) -> bool:
    """Check annotations and pictures, print a table and, where asked for, write it as JSON and draw the samples.

    Args:
        sources: one, or training and validation.
        keypoints: what the objects are to have.
        json_file: where every problem is written.
        drawings: folder for the first pictures of each source with their labels.

    Returns:
        Whether there is no problem of severity error.

    Raises:
        TrainingInputError: an annotation file cannot be read at all, or names other keypoints.
    """
    if json_file is not None and not json_file.parent.is_dir():
        raise DataError(f"--json: there is no folder {json_file.parent}")
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for source in sources:
        check_names(source.data_format, source.annotations, keypoints.names)
    readings = [
        read_samples(s.data_format, s.annotations, s.images, len(keypoints.names), skip_bad=True) for s in sources
    ]
    samples = [sample for reading in readings for sample in reading.samples]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("pictures", total=len(samples))
        pictures = read_pictures(samples, lambda: progress.update(task, advance=1))
    checked = [
        Checked(source, reading, list(_problems(reading, keypoints, pictures)))
        for source, reading in zip(sources, readings, strict=True)
    ]
    # Beside all sources: a validation picture is not unlabelled.
    general = [*pairs_against_names(keypoints), *unlabelled_pictures(samples)]
    if len(readings) == 2:
        general += pictures_in_both(readings[0].samples, readings[1].samples, pictures)
    for each in checked:
        console.print(_describe(each))
        if drawings is not None:
            readable = [s for s in each.reading.samples if pictures[s.read_image].fault is None]
            count = draw_samples(readable, keypoints, drawings, each.source.name, DRAWN_PICTURES)
            console.print(f"{count} pictures drawn into {drawings}")
    problems = [("all", problem) for problem in general]
    problems += [(each.source.name, problem) for each in checked for problem in each.problems]
    console.print(_table(problems) if problems else "no problem found")
    if json_file is not None:
        json_file.write_text(json.dumps(_as_json(checked, problems), indent=2) + "\n", encoding="utf-8")
    return all(problem.severity != "error" for _, problem in problems)


def _problems(reading: Reading, keypoints: Keypoints, pictures: Pictures) -> Iterator[Problem]:
    samples = reading.samples
    yield from (Problem("faulty_object", "error", "", str(fault)) for fault in reading.faults)
    used = {sample.read_image: pictures[sample.read_image] for sample in samples}
    yield from unreadable_pictures(used)
    yield from same_pictures(samples, pictures)
    yield from same_annotations(samples, pictures)
    yield from points_outside(samples, pictures)
    yield from hidden_points_with_coordinates(samples)
    yield from missing_boxes_and_areas(samples)
    yield from keypoints_never_seen(samples, keypoints.names)
    yield from pairs_against_points(samples, keypoints)


def _describe(each: Checked) -> str:
    reading = each.reading
    count = len({sample.read_image for sample in reading.samples})
    line = f"{each.source.name}: {len(reading.samples)} objects in {count} pictures ({each.source.annotations})"
    return "\n".join([line, *(f"  {number} left out: {rule}" for rule, number in reading.left_out.items())])


def _table(problems: list[tuple[str, Problem]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("severity", "check", "data", "count"):
        table.add_column(heading, no_wrap=True)
    table.add_column("the first", overflow="fold")
    grouped: dict[tuple[str, str, str], list[Problem]] = defaultdict(list)
    for source, problem in problems:
        grouped[problem.severity, problem.check, source].append(problem)
    for (severity, check, source), group in sorted(grouped.items()):
        first = ": ".join(text for text in (group[0].where, group[0].detail) if text)
        table.add_row(severity, check, source, str(len(group)), first)
    return table


def _as_json(checked: list[Checked], problems: list[tuple[str, Problem]]) -> dict[str, object]:
    return {
        "data": [
            {
                "name": each.source.name,
                "format": each.source.data_format,
                "annotations": str(each.source.annotations),
                "objects": len(each.reading.samples),
                "pictures": len({sample.read_image for sample in each.reading.samples}),
                "left_out": dict(each.reading.left_out),
            }
            for each in checked
        ],
        "problems": [{"data": source, **problem._asdict()} for source, problem in problems],
    }
