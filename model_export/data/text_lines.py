"""The lines of an annotation file that is plain text."""

from pathlib import Path

from model_export.errors import DataError


def read_text_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, stripped, each with its number, counted from one.

    Raises:
        DataError: the file cannot be read, is not text in UTF-8, or holds nothing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"annotation file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"annotation file {path} is not text in UTF-8: {error}") from error
    except ValueError as error:  # a name with a null character, from a damaged list
        raise DataError(f"annotation file {str(path)!r} cannot be read: {error}") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise DataError(f"annotation file {path} holds no line")
    return lines


def parse_numbers(texts: list[str], where: str) -> list[float]:
    """`texts` as numbers.

    Raises:
        DataError: one is none; `where` names file and line.
    """
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise DataError(f"{where}: expected numbers, found {', '.join(texts)[:60]!r} ({error})") from error
