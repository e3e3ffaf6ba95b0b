"""The training and validation samples that a recipe names."""

import logging

from model_export.data.checked_reading import read_checked
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.synthetic import KEYPOINT_NAMES, draw_samples
from model_export.errors import RecipeError
from model_export.metrics.recipe_truth import check_measurable
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
        check_measurable(samples, recipe)
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


def _check_drawn_keypoints(recipe: Recipe) -> None:
    if recipe.keypoints.names != KEYPOINT_NAMES:
        raise RecipeError(
            f"keypoints.names: the drawn faces have {', '.join(KEYPOINT_NAMES)}, "
            f"found {', '.join(recipe.keypoints.names)}"
        )
