"""JSON annotation files and their objects, checked. NaN passes as JSON: only the object that has it is refused."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model_export.errors import DataError
from service.contract.bundle_manifest import describe_problems

Pixels = Annotated[float, Field(ge=-1e6, le=1e6)]  # no picture is that large: a slip, or an overflow in waiting
Record = TypeVar("Record", bound="JsonRecord")


class JsonRecord(BaseModel):
    """One object of an annotation file: the keys that are needed, of the right types; other keys are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        DataError: the file cannot be read or is not JSON.
    """
    try:
        return pydantic_core.from_json(path.read_bytes(), allow_inf_nan=True)
    except OSError as error:
        raise DataError(f"annotation file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"annotation file {path} is not valid JSON: {error}") from error


def parse_record(record: type[Record], value: Any, where: str) -> Record:
    """One object of a file as `record`; `where` names file and object in the error.

    Raises:
        DataError: a key is missing or its value is not as it should be.
    """
    try:
        return record.model_validate(value)
    except ValidationError as error:
        raise DataError(f"{where}: {_shortened(describe_problems(error))}") from error


def list_of(value: Any, key: str | None, path: Path) -> list[Any]:
    """The list that a file holds, below `key` or, with None, as the whole file.

    Raises:
        DataError: there is no such list.
    """
    found = value.get(key) if isinstance(value, dict) and key is not None else value
    if not isinstance(found, list) or (key is not None and found is value):
        place = "at the top level" if key is None else f"under the key {key!r}"
        raise DataError(f"annotation file {path}: expected a list {place}, found {type(found).__name__}")
    return found


def _shortened(problems: str, most: int = 300) -> str:
    return problems if len(problems) <= most else f"{problems[:most]} ..."
