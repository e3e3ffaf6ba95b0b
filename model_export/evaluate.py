"""Evaluation: a model on the labelled pictures of a split, by the metrics of its recipe."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.box_protocols import BoxedPicture, Boxes
from model_export.data.keypoint_sample import KeypointSample
from model_export.flip_test import FLIP_TESTS, FlipTest, answer
from model_export.metrics.figures import Figure
from model_export.metrics.measuring import measure
from model_export.metrics.predictions import Instance, Predictions, seen_area
from model_export.metrics.recipe_truth import oks_truth
from model_export.onnx_inference import OnnxNetwork
from model_export.recipe import Recipe
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.crop_transform import Box, ImageHW3


class Found(NamedTuple):
    """What a model answers for one box.

    Attributes:
        points_in_image_K2: in image pixels.
        scores_K: 0 to 1.
        seen_area: square pixels of the image that its crop shows.
    """

    points_in_image_K2: NDArray[np.float64]
    scores_K: NDArray[np.float64]
    seen_area: float


Estimate = Callable[[ImageHW3, Box], Found]


class Report(NamedTuple):
    """What was measured on how many samples, with which boxes and which flip test."""

    figures: tuple[Figure, ...]
    box_protocol: str
    samples: int
    flip_test: FlipTest = "none"

    def value(self, metric: str) -> float:
        """The value of the first figure of that name."""
        return next(figure.value for figure in self.figures if figure.metric == metric)

    def as_json(self) -> dict[str, Any]:
        """For a JSON file; a value that is not finite is null."""
        figures = [figure._asdict() | {"value": figure.json_value} for figure in self.figures]
        flip_test = FLIP_TESTS[self.flip_test]
        return {
            "box_protocol": self.box_protocol,
            "flip_test": flip_test,
            "samples": self.samples,
            "figures": figures,
        }


class Evaluated(NamedTuple):
    """A report, and the predictions that it was measured on."""

    report: Report
    predictions: Predictions


def estimate_in_process(bundle: Path, manifest: BundleManifest, flip_test: FlipTest = "none") -> Estimate:
    """Keypoints from the bundle's graph, which is given the crop of the box (and its mirror image: see `flip_test`)."""
    network = OnnxNetwork(bundle / MODEL_FILE)

    def estimate(image: ImageHW3, box: Box) -> Found:
        transform = manifest.crop_transform(box)
        crops = transform.extract(image)[np.newaxis]
        points, scores = answer(network, crops, manifest.codec, manifest.keypoints.flip_pairs, flip_test)
        return Found(transform.to_image(points[0]), scores[0].astype(np.float64), seen_area(transform))

    return estimate


def evaluate(
    recipe: Recipe,
    samples: Sequence[KeypointSample],
    boxes: Boxes,
    estimate: Estimate,
    box_done: Callable[[int], None],
) -> Evaluated:
    """The recipe's metrics over the samples; `box_done` is told how many boxes are done.

    With boxes that are not one for each sample, only the metrics that match predictions with persons are measured.

    Raises:
        DataError: a picture cannot be read.
    """
    instances = _find(boxes.pictures, estimate, box_done)
    found = np.stack([one.points_K2 for one in instances]) if boxes.one_for_each_sample else None
    predictions = Predictions(samples, found, instances, oks_truth(recipe, samples))
    figures = measure(recipe.evaluation.metrics, predictions)
    return Evaluated(Report(figures, boxes.protocol, len(samples)), predictions)


def _find(pictures: Sequence[BoxedPicture], estimate: Estimate, box_done: Callable[[int], None]) -> list[Instance]:
    instances = []
    seen_id, image = "", None
    for done, picture in enumerate(pictures, start=1):
        if image is None or picture.image_id != seen_id:
            seen_id, image = picture.image_id, picture.read_image()
        found = estimate(image, picture.box)
        instances.append(
            Instance(picture.image_id, found.points_in_image_K2, found.scores_K, picture.score, found.seen_area)
        )
        box_done(done)
    return instances
