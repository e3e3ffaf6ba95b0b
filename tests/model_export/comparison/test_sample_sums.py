"""Sums over samples: their ratio is the figure, for whatever labels and predictions."""

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from model_export.comparison.sample_sums import sample_sums
from model_export.data.keypoint_sample import KeypointSample
from model_export.metrics.measuring import measure
from model_export.metrics.predictions import Predictions
from model_export.metrics.settings import Evaluation
from tests.model_export.metrics.labelled import evaluated_sets

METRICS = Evaluation.model_validate(
    {
        "metrics": [
            {
                "kind": "nme",
                "thresholds": [0.05, 0.3],
                "normaliser": {"kind": "keypoint_distance", "keypoints": [0, 1], "name": "eyes"},
            },
            {"kind": "pck", "thresholds": [0.1, 0.5], "normaliser": {"kind": "box_longer_side"}},
            {"kind": "epe"},
            {"kind": "radial_error", "thresholds_mm": [2.0, 4.0], "comparison": "<"},
            {"kind": "pckh", "left_out": []},
        ]
    }
).metrics
RATIOS = {"NME", "FR@0.05", "AUC@0.05", "FR@0.3", "AUC@0.3", "PCK@0.1", "PCK@0.5", "EPE", "MRE", "SDR@2mm", "SDR@4mm"}


@given(evaluated_sets())
def test_the_ratio_of_the_sums_is_the_figure(evaluated: tuple[list[KeypointSample], NDArray[np.float64]]) -> None:
    samples, found = evaluated
    predictions = Predictions(samples, found, [], None)
    sums = sample_sums(METRICS, predictions)
    figures = {figure.metric: figure.value for figure in measure(METRICS, predictions)}
    assert sums.keys() <= RATIOS
    finite = {name for name in RATIOS & figures.keys() if np.isfinite(figures[name])}
    assert finite <= sums.keys()
    for name in finite:
        assert len(sums[name].numerators_S) == len(samples)
        assert sums[name].ratio == pytest.approx(figures[name], rel=1e-9, abs=1e-12)
