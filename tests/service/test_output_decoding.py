"""Outputs to keypoints: the rules of scores, and answers where nothing is found."""

from typing import Any

import numpy as np
import pytest

from service.output_decoding import output_reading
from tests.fakes import fake_manifest

CROP = {"width": 48, "height": 40, "padding": 1.25, "dtype": "float32", "mean": (0, 0, 0), "std": (1, 1, 1)}


def decode(output: dict[str, Any], *tensors: Any) -> tuple[Any, Any]:
    reading = output_reading(fake_manifest(input=CROP, output=output))
    assert len(reading.tensors) == len(tensors)
    answer = reading.decode([np.asarray(tensor, np.float32) for tensor in tensors])
    assert answer.points_in_crop_NK2.dtype == answer.scores_NK.dtype == np.float32
    return answer.points_in_crop_NK2, answer.scores_NK


def rows(places: list[int], peaks: list[float], bins: int) -> Any:
    """One crop's rows (1, K, bins), nothing but the peaks."""
    found = np.full((1, len(places), bins), -1.0)
    for index, (place, peak) in enumerate(zip(places, peaks, strict=True)):
        found[0, index, place] = peak
    return found


@pytest.mark.parametrize(("rule", "scores"), [("min", [0.3, 0.0, 1.0]), ("mean", [0.4, 0.1, 1.0])])
def test_simcc_has_all_keypoints_however_low_their_peaks(rule: str, scores: list[float]) -> None:
    x, y = rows([11, 0, 95], [0.5, -0.5, 9.0], 96), rows([30, 79, 0], [0.3, 0.7, 2.0], 80)
    points, found = decode({"kind": "simcc", "bins_x": 96, "bins_y": 80, "score_rule": rule}, x, y)
    assert points.tolist() == [[[5.5, 15.0], [0.0, 39.5], [47.5, 0.0]]]  # where the originals answer -1, the peaks stay
    assert found[0] == pytest.approx(scores)  # raw responses above one are cut to one


def test_several_crops_do_not_mix() -> None:
    x = np.concatenate([rows([place], [1.0], 96) for place in (2, 4, 6)])
    y = np.concatenate([rows([place], [1.0], 80) for place in (8, 10, 12)])
    points, _ = decode({"kind": "simcc", "bins_x": 96, "bins_y": 80, "score_rule": "min"}, x, y)
    assert points[:, 0].tolist() == [[1, 4], [2, 5], [3, 6]]


def test_heatmaps_that_are_nowhere_above_zero_answer_their_first_cell_with_score_zero() -> None:
    output = {
        "kind": "heatmaps", "heatmaps_tensor": "maps", "heatmap_width": 12, "heatmap_height": 10, "stride": 4,
        "sigma": 2.0, "alignment": "stride", "decoding": "quarter_step",
    }  # fmt: skip
    heatmaps = np.full((1, 3, 10, 12), -0.5)
    heatmaps[0, 0, 4, 5], heatmaps[0, 0, 4, 6], heatmaps[0, 0, 3, 5] = 2.0, 1.0, 0.5
    points, scores = decode(output, heatmaps)
    assert points[0].tolist() == [[21.0, 15.0], [0.0, 0.0], [0.0, 0.0]]
    assert scores[0].tolist() == [1.0, 0.0, 0.0]


def test_coordinates_and_their_scores() -> None:
    places = [[[0.5, 0.25], [0.0, 1.0], [-0.1, 0.5]]]
    of_crop = [[24.0, 10.0], [0.0, 40.0], [-4.8, 20.0]]
    output = {"kind": "coordinates", "keypoints_tensor": "points", "unit": "normalized"}
    points, scores = decode(output, places)
    assert points[0] == pytest.approx(np.array(of_crop))
    assert scores.tolist() == [[1.0, 1.0, 1.0]]
    apart = np.array([[[0.5], [-1.0], [3.0]]])
    points, scores = decode(output | {"scores_tensor": "scores"}, places, apart)
    assert points[0] == pytest.approx(np.array(of_crop))
    assert scores.tolist() == [[0.5, 0.0, 1.0]]
    points, scores = decode(output | {"unit": "pixel", "components": 3}, np.concatenate([places, apart], axis=2))
    assert points[0] == pytest.approx(np.array(places[0]))
    assert scores.tolist() == [[0.5, 0.0, 1.0]]
