"""Tables as DeepLabCut writes its predictions: `pandas.read_csv(path, header=[0, 1, 2], index_col=0)` reads them.

Header rows scorer, bodyparts, coords (x, y, likelihood); with several objects in a frame a row `individuals` after the
first, so `header=[0, 1, 2, 3]`. The first column is the number of the frame in its video, or the picture's name. What
is not there is `nan`: a first row of blanks would be taken by pandas for the names of the index.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from service.errors import InvalidSetting
from service.predict.lookers import LookingModel
from service.predict.results import Results, Writer, make_folder, written_aside
from service.predict.rows import Row
from service.predict.sources import Source

_COORDS = ("x", "y", "likelihood")
_PICTURES = "pictures.csv"


def plan_csv(path: Path, sources: Sequence[Source]) -> Writer:
    """A table of one video, or of pictures; in a folder one for each video, and one for all pictures.

    Raises:
        InvalidSetting: one table for several videos or for both kinds, or two videos would be written to one.
    """
    videos = [source for source in sources if source.is_video]
    if path.is_dir() or not path.suffix:
        tables = {source.name: path / _table_name(source) for source in sources}
        [(table, times)] = Counter(tables[source.name] for source in videos).most_common(1) or [(path, 1)]
        if times > 1 or any(tables[video.name] == path / _PICTURES for video in videos if len(videos) < len(sources)):
            raise InvalidSetting(f"--output {path}: several files would be written to {table}; rename one of them")
    elif len(videos) > 1 or (videos and len(videos) < len(sources)):
        raise InvalidSetting(
            f"--output {path}: a table is of one video or of pictures, found {len(videos)} videos and "
            f"{len(sources) - len(videos)} pictures; a folder takes a table of each: --output FOLDER --format csv"
        )
    else:
        tables = {source.name: path for source in sources}
    return Writer(path, lambda results: _write_tables(results, tables))


def _table_name(source: Source) -> Path:
    return Path(source.name).with_suffix(".csv") if source.is_video else Path(_PICTURES)


def _write_tables(results: Results, tables: dict[str, Path]) -> None:
    is_video = {source.name: source.is_video for source in results.sources}

    def rows_of_frames() -> Iterator[Row]:
        """Without those that say what is wrong with a video as a whole, which are no frames of it."""
        return (row for row in results.rows() if row.frame is not None or not is_video[row.file])

    most: Counter[Path] = Counter()
    for row in rows_of_frames():
        most[tables[row.file]] = max(most[tables[row.file]], len(row.estimate.instances) if row.estimate else 0)
    for table, rows in groupby(rows_of_frames(), lambda row: tables[row.file]):
        make_folder(table.parent)
        with written_aside(table) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows(_header(results.model, most[table]))
            writer.writerows(_cells(row, most[table], len(results.model.keypoints.names)) for row in rows)


def _header(model: LookingModel, individuals: int) -> Iterator[list[str]]:
    names = model.keypoints.names
    several = max(1, individuals)
    yield ["scorer", *[f"focalpoint_{model.name}_{model.version}"] * (several * len(names) * 3)]
    if several > 1:
        yield ["individuals", *[f"individual{i + 1}" for i in range(several) for _ in range(len(names) * 3)]]
    yield ["bodyparts", *[name for _ in range(several) for name in names for _ in _COORDS]]
    yield ["coords", *_COORDS * (several * len(names))]


def _cells(row: Row, individuals: int, keypoint_count: int) -> list[int | str | float]:
    instances = row.estimate.instances if row.estimate else []
    found: list[int | str | float] = [row.file if row.frame is None else row.frame]
    for instance in instances:
        for (x, y), score in zip(instance.points_in_image.tolist(), instance.scores.tolist(), strict=True):
            found += [x, y, round(score, 4)]
    missing = max(1, individuals) - len(instances)
    return [*found, *["nan"] * (missing * keypoint_count * len(_COORDS))]
