"""Keypoints over their crop: labels and predictions that can be told apart without colour."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from service.contract.crop_transform import ImageHW3


class PointStyle(NamedTuple):
    """How one kind of keypoints is drawn; every mark has a dark rim, which parts it from any picture."""

    name: str
    colour: str
    marker: str
    is_open: bool


# Apart in marker and hue, for eyes that do not tell red from green too.
LABEL = PointStyle("label", "#56b4e9", "s", is_open=True)
PREDICTION = PointStyle("prediction", "#ffb000", "o", is_open=False)


def draw_points(
    panel: Axes,
    crop_HW3: ImageHW3,
    points_K2: NDArray[np.float64],
    shown_K: NDArray[np.bool_],
    skeleton: Sequence[tuple[int, int]],
    style: PointStyle,
) -> None:
    """Draw the crop and the shown ones of the points (crop pixels), with the lines of the skeleton between them."""
    height, width = crop_HW3.shape[:2]
    panel.imshow(crop_HW3)
    panel.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    panel.set_axis_off()
    for first, second in skeleton:
        if shown_K[first] and shown_K[second]:
            panel.add_line(_styled(points_K2[[first, second]], style, line=True, marks=False))
    panel.add_line(_styled(points_K2[shown_K], style, line=False, marks=True))


def legend_entry(style: PointStyle) -> Line2D:
    """A line and a mark with the style's name."""
    return _styled(np.empty((0, 2)), style, line=True, marks=True)


def _styled(points_N2: NDArray[np.float64], style: PointStyle, *, line: bool, marks: bool) -> Line2D:
    return Line2D(
        points_N2[:, 0],
        points_N2[:, 1],
        label=style.name,
        color=style.colour,
        linewidth=1.1,
        linestyle="-" if line else "none",
        marker=style.marker if marks else "none",
        markersize=4.5,
        markerfacecolor="none" if style.is_open else style.colour,
        markeredgecolor=style.colour if style.is_open else "black",
        markeredgewidth=1.3 if style.is_open else 0.7,
        path_effects=[withStroke(linewidth=2.6, foreground="black", alpha=0.6)] if line or style.is_open else None,
    )
