"""The training and validation samples that a recipe names."""

import logging
from collections.abc import Sequence

from model_export.data.checked_reading import read_checked
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.synthetic import KEYPOINT_NAMES, draw_samples
from model_export.errors import DataError, RecipeError
from model_export.recipe import AnnotatedData, Recipe

_log = logging.getLogger(__name__)
_VALIDATION_SEED_OFFSET = 1_000_003  # drawn validation faces must not be the training ones


def training_samples(recipe: Recipe) -> list[KeypointSample]:
    """The samples to train on, each picture opened once to check its labels.

    Raises:
        RecipeError, DataError: the data is not there or not as the recipe says.
    """
    data = recipe.data
    if isinstance(data, AnnotatedData):
        return _read(data, data.train, data.train_images, len(recipe.keypoints.names))
    _check_drawn_keypoints(recipe)
    return draw_samples(data.train_count, recipe.seed)


def validation_samples(recipe: Recipe) -> list[KeypointSample]:
    """The samples to validate on, each picture opened once to check its labels.

    Raises:
        RecipeError, DataError: the data is not there or not as the recipe says.
    """
    data = recipe.data
    if isinstance(data, AnnotatedData):
        samples = _read(data, data.validation, data.validation_images, len(recipe.keypoints.names))
        _check_normaliser(samples, recipe.evaluation.normaliser)
        return samples
    _check_drawn_keypoints(recipe)
    return draw_samples(data.validation_count, recipe.seed + _VALIDATION_SEED_OFFSET)


def _read(data: AnnotatedData, annotations: str, images: str | None, keypoint_count: int) -> list[KeypointSample]:
    path = data.folder() / annotations
    reading = read_checked(
        data.format, path, data.images_folder(annotations, images), keypoint_count, skip_bad=data.skip_bad
    )
    for rule, count in reading.left_out.items():
        _log.info("%s: %d objects left out: %s", path, count, rule)
    if reading.faults:
        _log.warning("%s: %d objects skipped, the first: %s", path, len(reading.faults), reading.faults[0])
    return reading.samples


def _check_normaliser(samples: Sequence[KeypointSample], normaliser: tuple[int, int]) -> None:
    """Every error is divided by the distance of these two keypoints: a sample without it cannot be measured."""
    first, second = normaliser
    for sample in samples:
        if not sample.visible[[first, second]].all():
            raise DataError(
                f"{sample.origin}: evaluation.normaliser needs keypoints {first} and {second}, one is empty"
            )
        if (sample.points_in_image[first] == sample.points_in_image[second]).all():
            raise DataError(f"{sample.origin}: evaluation.normaliser needs keypoints {first} and {second} apart")


def _check_drawn_keypoints(recipe: Recipe) -> None:
    if recipe.keypoints.names != KEYPOINT_NAMES:
        raise RecipeError(
            f"keypoints.names: the drawn faces have {', '.join(KEYPOINT_NAMES)}, "
            f"found {', '.join(recipe.keypoints.names)}"
        )
