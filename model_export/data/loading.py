"""Batches from a loader whose worker processes fail in the words of this project."""

from collections.abc import Iterable, Iterator

from model_export.data.dataset import CropSample
from model_export.errors import DataError


def loaded(batches: Iterable[CropSample]) -> Iterator[CropSample]:
    """The batches of a torch loader.

    Raises:
        DataError: a picture that was there when the training started is not any more. From a worker process torch
            raises the same kind of error, but puts the worker's traceback before its sentence.
    """
    try:
        yield from batches
    except DataError as error:
        sentence = str(error).rpartition(f"{DataError.__name__}: ")[2].strip()
        raise DataError(sentence) from None
