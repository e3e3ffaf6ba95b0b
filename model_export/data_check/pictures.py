"""The pictures of a data set: read once each, compared by content."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data_check.problem import Problem
from model_export.errors import DataError
from service.contract.crop_transform import ImageHW3

_PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


class Picture(NamedTuple):
    """What is remembered of a picture: width, height and a hash of its pixels; or why it cannot be read."""

    width: int
    height: int
    digest: str
    fault: DataError | None = None


Pictures = dict[Callable[[], ImageHW3], Picture]  # by `KeypointSample.read_image`


def read_pictures(samples: Iterable[KeypointSample], picture_read: Callable[[], None]) -> Pictures:
    """Every picture of the samples, each opened once; `picture_read` is called after each sample."""
    pictures: Pictures = {}
    for sample in samples:
        if sample.read_image not in pictures:
            pictures[sample.read_image] = _read(sample.read_image)
        picture_read()
    return pictures


def _read(read_image: Callable[[], ImageHW3]) -> Picture:
    try:
        image = read_image()
    except DataError as error:
        return Picture(0, 0, "", error)
    height, width = image.shape[:2]
    return Picture(width, height, sha256(f"{width} x {height}".encode() + image.tobytes()).hexdigest())


def unreadable_pictures(pictures: Pictures) -> Iterator[Problem]:
    """Pictures that are missing or no pictures."""
    for picture in pictures.values():
        if picture.fault is not None:
            yield Problem("unreadable_picture", "error", "", str(picture.fault))


def same_pictures(samples: Sequence[KeypointSample], pictures: Pictures) -> Iterator[Problem]:
    """Pictures of the same pixels under several names."""
    for names in _names_by_content(samples, pictures).values():
        if len(names) > 1:
            first, *others = sorted(names)
            yield Problem("same_picture", "warning", first, f"the same pixels as {', '.join(others)}")


def unlabelled_pictures(samples: Sequence[KeypointSample]) -> Iterator[Problem]:
    """Picture files beside the labelled ones that no object names, and which of them are copies of labelled ones.

    Only files of the same size are compared, byte by byte: others may be many.
    """
    labelled = {sample.read_image.path for sample in samples if isinstance(sample.read_image, ImageFile)}
    beside = {path for folder in {path.parent for path in labelled} for path in _picture_files(folder)} - labelled
    if beside:
        some = f"{len(beside)} files beside the labelled ones are named by no object"
        yield Problem("unlabelled_pictures", "note", str(min(beside).parent), some)
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in sorted(labelled):
        if path.is_file():
            by_size[path.stat().st_size].append(path)
    for path in sorted(beside):
        for other in by_size.get(path.stat().st_size, []):
            if path.read_bytes() == other.read_bytes():
                yield Problem("same_picture", "warning", str(path), f"not labelled, and the same file as {other}")
                break


def _picture_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.suffix.lower() in _PICTURE_SUFFIXES)


def pictures_in_both(
    training: Sequence[KeypointSample], validation: Sequence[KeypointSample], pictures: Pictures
) -> Iterator[Problem]:
    """Pictures that train and validate: what is measured on them says nothing."""
    trained = _names_by_content(training, pictures)
    for digest, names in _names_by_content(validation, pictures).items():
        if digest in trained:
            other = ", ".join(sorted(trained[digest]))
            yield Problem(
                "picture_in_both", "error", sorted(names)[0], f"the same pixels as {other} of the training set"
            )


def _names_by_content(samples: Sequence[KeypointSample], pictures: Pictures) -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        picture = pictures[sample.read_image]
        if picture.fault is None:
            names[picture.digest].add(sample.image_id or sample.origin)
    return names
