"""No metric depends on the order of the samples, nor on what stands where nothing is labelled."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from model_export.metrics.coco_truth import truth_of_samples
from model_export.metrics.figures import Figure
from model_export.metrics.measuring import measure
from model_export.metrics.predictions import Instance, Predictions
from model_export.metrics.settings import Evaluation
from tests.model_export.metrics.labelled import COUNT, evaluated_sets

PAIR = {"kind": "keypoint_distance", "keypoints": [0, 1], "name": "a pair"}
GROUPS = {"kind": "group_distance", "first": [0, 1], "second": [2, 3], "name": "groups"}
EVERYTHING = Evaluation.model_validate(
    {
        "metrics": [
            {"kind": "nme", "normaliser": PAIR, "thresholds": [0.05, 0.1]},
            {"kind": "nme", "normaliser": GROUPS, "thresholds": [0.1]},
            {"kind": "nme", "normaliser": {"kind": "box_root_area"}, "thresholds": [0.1]},
            {"kind": "pck", "normaliser": {"kind": "box_longer_side"}, "thresholds": [0.05, 0.2]},
            {"kind": "pck", "normaliser": {"kind": "box_size"}, "thresholds": [0.1]},
            {"kind": "pckh", "left_out": [2], "columns": {"Ends": [0, 3]}},
            {"kind": "radial_error", "thresholds_mm": [2, 2.5, 3, 4], "comparison": "<"},
            {"kind": "epe"},
            {"kind": "oks", "area": "annotated", "keypoint_score_above": 0.2, "nms_above": 0.9},
            {"kind": "oks", "area": "box_times_0.53", "keypoint_score_above": 0.5, "nms_above": 0.5},
        ]
    }
)


def measured(samples: list[KeypointSample], found: NDArray[np.float64], scores: NDArray[np.float64]) -> list[Figure]:
    instances = [
        Instance(s.image_id, points, of_points, 1.0, 5000.0)
        for s, points, of_points in zip(samples, found, scores, strict=True)
    ]
    truth = truth_of_samples(samples, np.linspace(0.05, 0.1, COUNT))
    return list(measure(EVERYTHING.metrics, Predictions(samples, found, instances, truth)))


def assert_equal_figures(first: list[Figure], second: list[Figure]) -> None:
    for one, other in zip(first, second, strict=True):
        assert one._replace(value=0.0) == other._replace(value=0.0)
        # Sums in another order: measured 2e-15 relative.
        assert one.value == pytest.approx(other.value, rel=1e-12, abs=1e-12, nan_ok=True), one.metric


@given(evaluated_sets(), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_samples_changes_nothing(drawn, random, ties) -> None:  # type: ignore[no-untyped-def]
    samples, found = drawn
    scores = np.random.default_rng(7).random((len(samples), COUNT))
    if ties:  # instances of the same score
        scores[:] = scores[0]
    order = list(range(len(samples)))
    random.shuffle(order)
    assert_equal_figures(
        measured(samples, found, scores), measured([samples[n] for n in order], found[order], scores[order])
    )


@given(evaluated_sets())
@settings(max_examples=20, deadline=None)
def test_what_stands_where_nothing_is_labelled_changes_nothing(drawn) -> None:  # type: ignore[no-untyped-def]
    samples, found = drawn
    scores = np.full((len(samples), COUNT), 0.7)
    elsewhere = [replace(s, points_in_image=np.where(s.visible[:, None], s.points_in_image, np.nan)) for s in samples]
    assert_equal_figures(measured(samples, found, scores), measured(elsewhere, found, scores))
