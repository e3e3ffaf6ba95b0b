"""Metrics on known errors."""

import numpy as np
import pytest

from model_export.keypoint_metrics import failure_rate, mean_offset, normalised_mean_errors, point_errors

TRUE = np.array([[[0.0, 0.0], [10.0, 0.0], [5.0, 5.0]], [[0.0, 0.0], [0.0, 20.0], [3.0, 3.0]]])
VISIBLE = np.ones((2, 3), dtype=bool)


def test_nme_is_the_mean_error_over_the_normaliser_of_each_sample() -> None:
    found = TRUE + np.array([[[3.0, 4.0]], [[0.0, 2.0]]])  # every point 5 px off, then 2 px
    assert normalised_mean_errors(found, TRUE, VISIBLE, (0, 1)).tolist() == [0.5, 0.1]


def test_invisible_keypoints_do_not_count() -> None:
    visible, found = VISIBLE.copy(), TRUE.copy()
    visible[0, 2], found[0, 2] = False, 1e6
    assert normalised_mean_errors(found, TRUE, visible, (0, 1))[0] == 0
    assert np.isnan(point_errors(found, TRUE, visible)[0, 2])


def test_the_offset_is_the_signed_mean_over_visible_keypoints() -> None:
    visible, found = VISIBLE.copy(), TRUE + np.array([-1.0, 0.5])
    visible[0, 2], found[0, 2] = False, 1e6
    assert mean_offset(found, TRUE, visible) == (-1.0, 0.5)


def test_a_sample_without_its_normaliser_is_named() -> None:
    visible = VISIBLE.copy()
    visible[1, 0] = False
    with pytest.raises(ValueError, match="sample 1 lacks the normaliser's keypoints 0 and 1"):
        normalised_mean_errors(TRUE, TRUE, visible, (0, 1))


def test_a_failure_is_strictly_above_the_threshold() -> None:
    assert failure_rate(np.array([0.05, 0.1, 0.1001, 0.5]), 0.1) == 0.5
