"""The truth that a recipe's metrics compare with, and whether they can be measured on it at all."""

from collections.abc import Sequence

import numpy as np

from model_export.data.keypoint_sample import KeypointSample
from model_export.errors import DataError
from model_export.metrics.coco_truth import truth_of_file, truth_of_samples
from model_export.metrics.measuring import SAMPLE_METRICS
from model_export.metrics.oks import person_areas
from model_export.metrics.predictions import OksTruth
from model_export.metrics.settings import OksSettings
from model_export.recipe import AnnotatedData, Recipe

# Their files hold more than samples: crowds, persons without keypoints, pictures without persons.
COCO_FORMATS = ("coco", "coco_wholebody")


def oks_truth(recipe: Recipe, samples: Sequence[KeypointSample]) -> OksTruth | None:
    """What OKS is compared with; None where no metric of the recipe takes it.

    Raises:
        DataError: the annotation file cannot be used.
    """
    if not recipe.evaluation.needs_sigmas:
        return None
    assert recipe.keypoints.oks_sigmas is not None  # the recipe has seen to that
    sigmas = np.array(recipe.keypoints.oks_sigmas)
    data = recipe.data
    if isinstance(data, AnnotatedData) and data.format in COCO_FORMATS and data.validation is not None:
        return truth_of_file(data.folder() / data.validation, sigmas)
    return truth_of_samples(samples, sigmas)


def check_measurable(samples: Sequence[KeypointSample], recipe: Recipe) -> None:
    """Refuse data that a metric cannot measure, before any slow work: the labels themselves are measured.

    Raises:
        DataError: no sample has what a metric needs, or a person has no area.
    """
    labels = np.stack([sample.points_in_image for sample in samples])
    truth = oks_truth(recipe, samples)
    for place, metric in enumerate(recipe.evaluation.metrics):
        if isinstance(metric, OksSettings):
            assert truth is not None
            person_areas(truth, metric)
        elif not SAMPLE_METRICS[metric.kind](samples, labels, metric)[0].counted:
            raise DataError(
                f"{samples[0].origin}: evaluation.metrics.{place} ({metric.kind}) cannot be measured, "
                f"as none of the {len(samples)} samples has the labels, normaliser or spacing that it needs"
            )
