"""Sigmas from repeated labels: the formula on hand-computed cases, the estimate on drawn ones, the command."""

import csv
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from model_export.data.keypoint_sample import KeypointSample
from model_export.data.synthetic import draw_samples
from model_export.errors import DataError
from model_export.oks_sigmas import estimate_sigmas
from service.cli import build_command_line
from tests.model_export.data.format_fixtures import write_pictures


def labelled(points: list[list[float]], image_id: str, area: float, hidden: tuple[int, ...] = ()) -> KeypointSample:
    visible = np.array([k not in hidden for k in range(len(points))])
    picture = draw_samples(1, 0)[0].read_image
    return KeypointSample(picture, np.array(points), visible, image_id, area=area, image_id=image_id)


def test_the_formula_on_a_case_computed_by_hand() -> None:
    first = [labelled([[0, 0], [10, 0]], "a", 1), labelled([[0, 0], [10, 0]], "b", 1, hidden=(1,))]
    second = [labelled([[3, 4], [10, 2]], "a", 100), labelled([[0, 1], [10, 0]], "b", 50)]
    # Squared distances over area: keypoint 0: 25 / 100 and 1 / 50; keypoint 1: 4 / 100 and hidden.
    truth = estimate_sigmas(first, second, second_is_truth=True)
    np.testing.assert_allclose(truth.sigmas_K, [np.sqrt((0.25 + 0.02) / 2), 0.2], rtol=1e-12)
    assert truth.counts_K.tolist() == [2, 1]
    twice = estimate_sigmas(first, second, second_is_truth=False)
    np.testing.assert_allclose(twice.sigmas_K, truth.sigmas_K / np.sqrt(2), rtol=1e-12)


def test_objects_of_one_picture_are_matched_by_distance_not_by_order() -> None:
    first = [labelled([[0, 0]], "a", 100), labelled([[50, 0]], "a", 100), labelled([[7, 7]], "c", 100)]
    second = [labelled([[51, 0]], "a", 100), labelled([[0, 1]], "a", 100), labelled([[7, 7]], "d", 100)]
    result = estimate_sigmas(first, second, second_is_truth=True)
    assert result.objects == 2
    np.testing.assert_allclose(result.sigmas_K, [0.1], rtol=1e-12)
    with pytest.raises(DataError, match="no object stands in both"):
        estimate_sigmas(first[2:], second[2:], second_is_truth=True)


@pytest.mark.parametrize("second_is_truth", [True, False])
def test_known_scatter_is_found_again(second_is_truth: bool) -> None:
    random = np.random.default_rng(5)
    sigmas_K = np.array([0.02, 0.05, 0.1])
    truth = [labelled(random.uniform(0, 100, (3, 2)).tolist(), str(n), random.uniform(1e3, 1e5)) for n in range(2000)]

    def annotated(sample: KeypointSample) -> KeypointSample:
        assert sample.area is not None
        # E[d^2] of two coordinates is twice the variance of one.
        scatter = random.normal(0, 1, (3, 2)) * sigmas_K[:, None] * np.sqrt(sample.area / 2)
        return labelled((sample.points_in_image + scatter).tolist(), sample.image_id, sample.area)

    first = [annotated(sample) for sample in truth]
    second = truth if second_is_truth else [annotated(sample) for sample in truth]
    found = estimate_sigmas(first, second, second_is_truth=second_is_truth).sigmas_K
    np.testing.assert_allclose(found, sigmas_K, rtol=0.05)  # measured: 0.02


def test_the_command_prints_the_line_of_the_skeleton(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.png"])
    (tmp_path / "own.toml").write_text('names = ["a", "b", "c"]\n', encoding="utf-8")
    for name, row in (("one.csv", [0, 0, 9, 9, "", ""]), ("two.csv", [1, 0, 9, 9, "", ""])):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["image", "x0", "y0", "x1", "y1", "x2", "y2"], ["a.png", *row]])
    files = [str(tmp_path / name) for name in ("one.csv", "two.csv")]
    options = ["--skeleton", str(tmp_path / "own.toml"), "--second-is-truth"]
    result = CliRunner().invoke(build_command_line(), ["estimate-sigmas", "csv", *files, *options])
    assert result.exit_code == 0, result.output
    # The box of the second, from (1, 0) to (9, 9), is 9 x 10: sigma = 1 / sqrt(0.53 * 90).
    assert "sigmas = [0.145, 0, nan]" in result.stdout
    assert "c: in no object of both" in result.stdout
