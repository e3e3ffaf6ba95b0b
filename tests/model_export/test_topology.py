"""The topology extractor: both affinities by hand, and what they are read from."""

import numpy as np
import pytest
import torch

from model_export.base_losses import Target
from model_export.heatmap_decoding import read_maps
from model_export.topology import PointSet, jittered, predicted_points, topology
from service.contract.keypoint_codec import KeypointCodec
from tests.model_export.recipes import afl_settings

WIDTH, HEIGHT = 32, 24
CODEC = KeypointCodec(WIDTH, HEIGHT, 4, 1.0, "peak")


def points(*places: tuple[float, float], exists: list[bool] | None = None) -> PointSet:
    return PointSet(torch.tensor([places]), torch.tensor([exists or [True] * len(places)]))


def test_planar_affinity_is_one_minus_distance_over_the_diagonal() -> None:
    planar = topology(points((0.0, 0.0), (24.0, 18.0), (0.0, 18.0)), 32, 24)[0, 0]  # the diagonal is 40
    expected = [[1, 1 - 30 / 40, 1 - 18 / 40], [1 - 30 / 40, 1, 1 - 24 / 40], [1 - 18 / 40, 1 - 24 / 40, 1]]
    assert torch.allclose(planar, torch.tensor(expected))


def test_angular_affinity_is_the_angle_at_the_centroid() -> None:
    # A square around its centroid (2, 2): neighbours stand at a right angle, opposite corners at a straight one.
    angular = topology(points((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)), 32, 24)[0, 1]
    expected = [[1, 0.5, 0, 0.5], [0.5, 1, 0.5, 0], [0, 0.5, 1, 0.5], [0.5, 0, 0.5, 1]]
    assert torch.allclose(angular, torch.tensor(expected), atol=1e-6)


def test_a_missing_keypoint_has_empty_rows_and_does_not_move_the_others() -> None:
    whole = topology(points((0.0, 0.0), (6.0, 2.0), (3.0, 9.0)), 32, 24)
    with_ghost = topology(
        points((0.0, 0.0), (30.0, 23.0), (6.0, 2.0), (3.0, 9.0), exists=[True, False, True, True]), 32, 24
    )
    kept = [0, 2, 3]
    assert torch.allclose(with_ghost[:, :, kept][..., kept], whole, atol=1e-6)
    assert not with_ghost[:, :, 1].any()
    assert not with_ghost[..., 1].any()


def test_a_missing_keypoint_by_hand() -> None:
    """The first and third keypoint, 6 apart on a diagonal of 40, lie on opposite sides of their centroid."""
    found = topology(points((1.0, 1.0), (9.0, 9.0), (7.0, 1.0), exists=[True, False, True]), 32, 24)
    near = 1 - 6 / 40
    assert torch.allclose(found[0, 0], torch.tensor([[1, 0, near], [0, 0, 0], [near, 0, 1]]))
    assert torch.allclose(found[0, 1], torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]]), atol=1e-6)


def test_a_single_keypoint_is_its_own_centroid_and_leaves_ones_where_it_stands() -> None:
    found = topology(points((5.3, 4.7), (1.0, 2.0), exists=[True, False]), 32, 24)
    assert found[0].tolist() == [[[1, 0], [0, 0]]] * 2
    assert not topology(points((5.0, 5.0), (1.0, 1.0), exists=[False, False]), 32, 24).any()


@pytest.mark.parametrize("place", [(5.0, 5.0), (0.1, 0.7), (31.7, 23.3)])
def test_coinciding_keypoints_are_as_near_as_can_be_and_stand_at_half_an_angle(place: tuple[float, float]) -> None:
    """They all lie on the centroid, wherever rounding puts that."""
    found = topology(points(place, place, place), 32, 24)
    assert torch.allclose(found[0, 0], torch.ones(3, 3), atol=1e-6)
    assert torch.allclose(found[0, 1], 0.5 + 0.5 * torch.eye(3), atol=1e-4)


def test_a_keypoint_on_the_centroid_of_others_has_no_angle_with_them() -> None:
    angular = topology(points((2.0, 2.0), (6.0, 2.0), (4.0, 2.0)), 32, 24)[0, 1]
    assert torch.allclose(angular, torch.tensor([[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]]), atol=1e-6)


def test_the_jitter_moves_places_by_the_distance_asked_for_on_average() -> None:
    torch.manual_seed(0)
    still = PointSet(torch.rand(200, 50, 2) * 9, torch.rand(200, 50) > 0.5)
    moved = jittered(still, torch.randn(200, 50, 2), torch.tensor(1.5))
    assert torch.equal(moved.exists_NK, still.exists_NK)
    distance = (moved.points_NK2 - still.points_NK2).norm(dim=-1).mean()
    assert distance.item() == pytest.approx(1.5, abs=0.03)  # the standard error is 0.008


def _prediction_and_target() -> tuple[torch.Tensor, Target]:
    """One bright peak beside a fainter one, one response below the threshold, and one that is not labelled."""
    heatmaps = torch.zeros(1, 3, HEIGHT, WIDTH)
    heatmaps[0, 0, 10, 8], heatmaps[0, 0, 10, 12] = 0.9, 0.3
    heatmaps[0, 1, 5, 5] = 0.05
    heatmaps[0, 2, 7, 7] = 0.8
    target = Target(torch.zeros_like(heatmaps), torch.zeros(1, 3, 2), torch.tensor([[True, True, False]]))
    return heatmaps, target


@pytest.mark.parametrize(
    ("existence", "expected"), [("label", [True, True, False]), ("prediction", [True, False, True])]
)
def test_existence_comes_from_the_label_or_from_the_response(existence: str, expected: list[bool]) -> None:
    heatmaps, target = _prediction_and_target()
    found = predicted_points(read_maps(heatmaps, CODEC), target, afl_settings(existence=existence))
    assert found.exists_NK[0].tolist() == expected


@pytest.mark.parametrize(("place", "expected_x"), [("peak", 8.0), ("thresholded_centroid", 9.0), ("soft_argmax", 9.0)])
def test_a_place_is_read_as_the_recipe_says(place: str, expected_x: float) -> None:
    heatmaps, target = _prediction_and_target()
    found = predicted_points(read_maps(heatmaps, CODEC), target, afl_settings(place=place))
    assert np.allclose(found.points_NK2[0, 0], [expected_x, 10.0], atol=1e-4)


def test_a_map_with_no_response_above_the_threshold_has_its_place_at_its_peak() -> None:
    """Not in the middle of the map, where every empty map would lie."""
    heatmaps, target = _prediction_and_target()
    found = predicted_points(read_maps(heatmaps, CODEC), target, afl_settings(place="thresholded_centroid"))
    assert found.exists_NK[0, 1]
    assert np.allclose(found.points_NK2[0, 1], [5.0, 5.0], atol=1e-4)
