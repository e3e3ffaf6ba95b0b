"""The training and validation samples that a recipe names."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.data.checked_reading import read_checked
from model_export.data.content_split import split_by_content
from model_export.data.keypoint_names import check_names
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data.label_corruption import Corrupted, corrupt_labels
from model_export.data.synthetic import KEYPOINT_NAMES, draw_samples
from model_export.errors import RecipeError
from model_export.metrics.recipe_truth import check_measurable
from model_export.recipe import AnnotatedData, Recipe

_log = logging.getLogger(__name__)
_VALIDATION_SEED_OFFSET = 1_000_003  # drawn validation faces must not be the training ones


def training_samples(recipe: Recipe) -> list[KeypointSample]:
    """The samples to train on, each picture opened once to check its labels; wrong labels as the recipe asks for them.

    Raises:
        RecipeError, DataError: the data is not there or not as the recipe says.
    """
    samples = _read_training(recipe)
    return samples if recipe.data.corrupted_share is None else _corrupt(recipe, samples).samples


def corrupted_samples(recipe: Recipe) -> NDArray[np.bool_]:
    """Which of the training samples have labels that were made wrong on purpose (S,).

    Raises:
        RecipeError, DataError: as `training_samples`.
    """
    samples = _read_training(recipe)
    return (
        np.zeros(len(samples), bool) if recipe.data.corrupted_share is None else _corrupt(recipe, samples).corrupted_S
    )


def validation_samples(recipe: Recipe) -> list[KeypointSample]:
    """The samples to validate on, each picture opened once to check its labels.

    Raises:
        RecipeError, DataError: the data is not there or not as the recipe says.
    """
    data = recipe.data
    if isinstance(data, AnnotatedData):
        samples = _read_validation(data, recipe.keypoints.names)
        check_measurable(samples, recipe)
        return samples
    _check_drawn_keypoints(recipe)
    return draw_samples(data.validation_count, recipe.seed + _VALIDATION_SEED_OFFSET)


def shared_pictures(training: Sequence[KeypointSample], validation: Sequence[KeypointSample]) -> list[str]:
    """The picture files that both train and validate, sorted; `check-data` finds copies under other names too."""
    trained = {sample.read_image for sample in training}
    both = {sample.read_image for sample in validation} & trained
    return sorted(str(picture.path) for picture in both if isinstance(picture, ImageFile))


def _read_training(recipe: Recipe) -> list[KeypointSample]:
    data = recipe.data
    if isinstance(data, AnnotatedData):
        samples = _read(data, data.train, data.train_images, recipe.keypoints.names)
        return samples if data.validation_share is None else split_by_content(samples, data.validation_share)[0]
    _check_drawn_keypoints(recipe)
    return draw_samples(data.train_count, recipe.seed)


def _corrupt(recipe: Recipe, samples: Sequence[KeypointSample]) -> Corrupted:
    assert recipe.data.corrupted_share is not None
    return corrupt_labels(samples, recipe.data.corrupted_share, recipe.keypoints.flip_pairs, recipe.seed)


def _read_validation(data: AnnotatedData, names: Sequence[str]) -> list[KeypointSample]:
    if data.validation is not None:
        return _read(data, data.validation, data.validation_images, names)
    assert data.validation_share is not None
    return split_by_content(_read(data, data.train, data.train_images, names), data.validation_share)[1]


def _read(data: AnnotatedData, annotations: str, images: str | None, names: Sequence[str]) -> list[KeypointSample]:
    path = data.folder() / annotations
    check_names(data.format, path, names)
    reading = read_checked(
        data.format, path, data.images_folder(annotations, images), len(names), skip_bad=data.skip_bad
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
