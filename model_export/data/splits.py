"""The training and validation samples that a recipe names."""

from model_export.data.dataset import check_points_inside
from model_export.data.keypoint_csv import read_keypoint_csv
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.synthetic import KEYPOINT_NAMES, draw_samples
from model_export.errors import RecipeError
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
        return read_keypoint_csv(data.folder() / data.validation, len(recipe.keypoints.names))
    _check_drawn_keypoints(recipe)
    return draw_samples(data.validation_count, recipe.seed + _VALIDATION_SEED_OFFSET)


def _check_drawn_keypoints(recipe: Recipe) -> None:
    if recipe.keypoints.names != KEYPOINT_NAMES:
        raise RecipeError(
            f"keypoints.names: the drawn faces have {', '.join(KEYPOINT_NAMES)}, "
            f"found {', '.join(recipe.keypoints.names)}"
        )
