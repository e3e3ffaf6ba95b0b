"""`FILE#PART` names one part of an annotation file that holds several, `data.yaml#val` for instance."""

from pathlib import Path


def split_part(path: Path) -> tuple[Path, str | None]:
    """The file and the name of its part; None where the whole file is meant."""
    name, mark, part = path.name.partition("#")
    return path.with_name(name) if mark else path, part if mark else None
