"""Figures of single samples: which marks stand for what, and a picture of the width of a page."""

from pathlib import Path

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from model_export.difficulty_report.points_panel import LABEL, PREDICTION, PointStyle, draw_points
from model_export.difficulty_report.trajectories import DrawnSample, draw_trajectories

CROP = np.zeros((40, 60, 3), np.uint8)
POINTS = np.array([[10.0, 10.0], [50.0, 10.0], [30.0, 30.0]])
SKELETON = [(0, 1), (1, 2)]


def test_only_what_has_a_label_is_drawn_and_lines_need_both_ends() -> None:
    panel = Figure().subplots()
    draw_points(panel, CROP, POINTS, np.array([True, True, False]), SKELETON, LABEL)
    limb, marks = panel.lines
    assert np.array_equal(limb.get_xydata(), POINTS[:2])
    assert np.array_equal(marks.get_xydata(), POINTS[:2])
    assert (limb.get_marker(), marks.get_linestyle()) == ("none", "None")
    assert (panel.get_xlim(), panel.get_ylim()) == ((-0.5, 59.5), (39.5, -0.5))


def test_labels_and_predictions_differ_in_more_than_colour() -> None:
    def mark(style: PointStyle) -> tuple[object, bool]:
        panel = Figure().subplots()
        draw_points(panel, CROP, POINTS, np.ones(3, bool), [], style)
        return panel.lines[0].get_marker(), panel.lines[0].get_markerfacecolor() == "none"

    assert mark(LABEL) == ("s", True)
    assert mark(PREDICTION) == ("o", False)


def test_a_figure_is_as_wide_as_a_page_and_names_wrong_labels(tmp_path: Path) -> None:
    """The same samples with and without a label that is wrong on purpose differ above that label alone."""
    difficulty_ES = np.array([[0.2, 0.9, np.nan], [0.3, 0.8, 0.5], [0.1, 0.7, 0.4]], np.float32)
    pictures = []
    for is_wrong in (False, True):
        easy, hard = (
            DrawnSample(CROP, POINTS + 2, POINTS, np.ones(3, bool), difficulty_ES[:, index], mean, wrong)
            for index, mean, wrong in ((0, 0.2, False), (1, 0.8, is_wrong))
        )
        path = tmp_path / f"{is_wrong}.png"
        draw_trajectories(path, [easy], [hard], SKELETON, difficulty_ES, "a test")
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        assert picture.shape[1:] == (1000, 3)
        pictures.append(picture)
    for style in (LABEL, PREDICTION):
        of_style = np.abs(pictures[0][..., ::-1] / 255 - to_rgb(style.colour)).max(axis=-1) < 0.15
        halves = np.array_split(of_style[: -of_style.shape[0] // 5], 2, axis=1)  # the legend is below
        assert all(half.sum() > 20 for half in halves)
    changed = (pictures[0] != pictures[1]).any(axis=-1).nonzero()
    assert changed[1].min() > 500
    assert changed[1].max() < 700
