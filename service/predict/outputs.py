"""From `-o` and `--format` to who writes what: a suffix says it, and where it does not, the format."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from service.errors import InvalidSetting
from service.predict.coco_layout import plan_coco
from service.predict.deeplabcut_csv import plan_csv
from service.predict.drawings import DRAWN_SUFFIXES, plan_drawings
from service.predict.json_layouts import plan_json, plan_jsonl
from service.predict.results import Writer
from service.predict.sources import Source

Format = Literal["jsonl", "json", "csv", "coco", "drawn"]
FORMATS: tuple[Format, ...] = get_args(Format)

_OF_SUFFIX: Mapping[str, Format] = MappingProxyType(
    {".jsonl": "jsonl", ".json": "json", ".csv": "csv", "": "drawn", **dict.fromkeys(DRAWN_SUFFIXES, "drawn")}
)


def plan_outputs(
    paths: Sequence[Path], formats: Sequence[str], sources: Sequence[Source], coco_annotations: Path | None
) -> list[Writer]:
    """A writer for each path, after everything was checked that can be before there is a result.

    Args:
        paths: files, or folders for drawings and tables.
        formats: none; or one for each path, or one for all.
        sources: what will be written about.
        coco_annotations: where COCO's image ids come from; None: they are running numbers.

    Raises:
        InvalidSetting: a path's format is not known, or does not fit the sources.
        StartupError: the annotations cannot be used.
    """
    if formats and len(formats) not in (1, len(paths)):
        raise InvalidSetting(f"--format: expected one, or one for each of {len(paths)} --output, found {len(formats)}")
    if len(set(paths)) != len(paths):
        raise InvalidSetting("--output: expected different paths, found the same twice")
    each: Sequence[str | None] = [*formats] * len(paths) if len(formats) == 1 else [*formats]
    plans: dict[Format, Callable[[Path, Sequence[Source]], Writer]] = {
        "jsonl": plan_jsonl,
        "json": plan_json,
        "csv": plan_csv,
        "coco": lambda path, given: plan_coco(path, given, coco_annotations),
        "drawn": plan_drawings,
    }
    for path in paths:
        if not path.parent.is_dir():
            raise InvalidSetting(f"--output {path}: expected {path.parent} to be a folder, found none")
    named = [_format_of(path, name) for path, name in zip(paths, each or [None] * len(paths), strict=True)]
    if coco_annotations is not None and "coco" not in named:
        raise InvalidSetting("--coco-annotations: expected an --output with --format coco, found none")
    return [plans[chosen](path, sources) for path, chosen in zip(paths, named, strict=True)]


def _format_of(path: Path, name: str | None) -> Format:
    if name is None:
        found = "drawn" if path.is_dir() else _OF_SUFFIX.get(path.suffix.lower())
        if found is None:
            raise InvalidSetting(
                f"--output {path}: expected a name that ends in {' '.join(filter(None, _OF_SUFFIX))}, "
                f"a folder, or --format {'|'.join(FORMATS)}"
            )
        return found
    for known in FORMATS:
        if name == known:
            return known
    raise InvalidSetting(f"--format: expected {', '.join(FORMATS)}, found {name!r}")
