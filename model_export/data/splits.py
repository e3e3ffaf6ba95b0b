"""The training and validation samples that a recipe names."""

from collections.abc import Sequence

from model_export.data.dataset import check_points_inside
from model_export.data.keypoint_csv import read_keypoint_csv
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.synthetic import KEYPOINT_NAMES, draw_samples
from model_export.errors import DataError, RecipeError
from model_export.recipe import CsvData, Recipe

_VALIDATION_SEED_OFFSET = 1_000_003  # drawn validation faces must not be the training ones


def training_samples(recipe: Recipe) -> list[KeypointSample]:
    """The samples to train on, each picture opened once to check its labels.

    Raises:
        RecipeError, DataError: the data is not there or not as the recipe says.
    """
    data = recipe.data
    if isinstance(data, CsvData):
        samples = read_keypoint_csv(data.folder() / data.train, len(recipe.keypoints.names))
        check_points_inside(samples)
        return samples
    _check_drawn_keypoints(recipe)
    return draw_samples(data.train_count, recipe.seed)


def validation_samples(recipe: Recipe) -> list[KeypointSample]:
    """The samples to validate on.

    Raises:
        RecipeError, DataError: the data is not there or not as the recipe says.
    """
    data = recipe.data
    if isinstance(data, CsvData):
        samples = read_keypoint_csv(data.folder() / data.validation, len(recipe.keypoints.names))
        _check_normaliser(samples, recipe.evaluation.normaliser)
        return samples
    _check_drawn_keypoints(recipe)
    return draw_samples(data.validation_count, recipe.seed + _VALIDATION_SEED_OFFSET)


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
