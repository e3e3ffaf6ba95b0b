"""The originals' Gaussians: hand-computed windows, and their algorithm written down cell by cell."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.contract.heatmap_encoding import ENCODINGS, window, window_meets_map
from service.contract.keypoint_codec import KeypointCodec

places = st.floats(-20, 60)
sigmas = st.sampled_from([1.0, 1.5, 2.0, 3.0])


def patch_in_map(
    x: float, y: float, width: int, height: int, sigma: float, sub_pixel: bool
) -> NDArray[np.float32] | None:
    """Draw a patch of 6 sigma + 1 cells and paste what of it falls on the map, as the originals do; None: weight 0."""
    reach = sigma * 3
    mu_x, mu_y = int(x + 0.5), int(y + 0.5)
    left, top = int(mu_x - reach), int(mu_y - reach)
    right, bottom = int(mu_x + reach + 1), int(mu_y + reach + 1)
    if left >= width or top >= height or right < 0 or bottom < 0:
        return None
    size = 2 * reach + 1
    middle_x = size // 2 + (x - mu_x if sub_pixel else 0)
    middle_y = size // 2 + (y - mu_y if sub_pixel else 0)
    drawn = np.zeros((height, width), np.float32)
    for row in range(max(0, top), min(bottom, height)):
        for column in range(max(0, left), min(right, width)):
            dx, dy = column - left - middle_x, row - top - middle_y
            drawn[row, column] = math.exp(-(dx * dx + dy * dy) / (2 * sigma**2))
    return drawn


@pytest.mark.parametrize(("encoding", "sub_pixel"), [("rounded_gaussian", False), ("cut_gaussian", True)])
@given(x=places, y=places, sigma=sigmas)
def test_a_cut_gaussian_is_the_originals_patch(
    encoding: str, sub_pixel: bool, x: float, y: float, sigma: float
) -> None:
    codec = KeypointCodec(
        24, 32, 4, sigma, "quarter_step", "stride", "cut_gaussian" if sub_pixel else "rounded_gaussian"
    )
    point = codec.to_crop(np.array([x, y]))
    x, y = codec.to_heatmap(point)  # at the edge of two windows the last bit decides
    expected = patch_in_map(x, y, 24, 32, sigma, sub_pixel)
    assert codec.can_encode(point) == (expected is not None)
    drawn = codec.encode(point)
    # Worst seen: 0, equal to the last bit of float32.
    assert np.abs(drawn - (np.zeros_like(drawn) if expected is None else expected)).max() < 1e-6


def test_hand_computed_windows() -> None:
    # 83 / 4 = 20.75 rounds to 21; sigma 2 reaches 6 cells: 15 ... 27, thirteen of them.
    first, end = window(np.array([20.75]), 2.0)
    assert (first.item(), end.item()) == (15, 28)
    bell = ENCODINGS["rounded_gaussian"](np.array([20.75]), 48, 2.0)[0]
    assert np.flatnonzero(bell).tolist() == list(range(15, 28))
    assert bell[21] == 1.0
    assert bell[22] == pytest.approx(math.exp(-1 / 8))
    cut = ENCODINGS["cut_gaussian"](np.array([20.75]), 48, 2.0)[0]
    assert np.flatnonzero(cut).tolist() == list(range(15, 28))
    assert cut[21] == pytest.approx(math.exp(-(0.25**2) / 8))
    assert (ENCODINGS["gaussian"](np.array([20.75]), 48, 2.0)[0] > 0).all()


def test_a_keypoint_counts_until_its_window_has_left_the_map() -> None:
    # 48 cells, sigma 2: the window of 53 begins at 47, that of 53.6 at 48; that of -7 (drawn at -6) ends at 1, that of
    # -8.6 (drawn at -8) at -1.
    counts = window_meets_map(np.array([53.0, 53.6, -7.0, -7.4, -8.6, -9.6]), 48, 2.0)
    assert counts.tolist() == [True, False, True, True, False, False]


def test_int_drops_the_fraction_below_zero() -> None:
    # int(-1.2 + 0.5) is 0, not -1: the peak stays on the map's edge.
    assert ENCODINGS["rounded_gaussian"](np.array([-1.2]), 48, 2.0)[0, 0] == 1.0
    assert ENCODINGS["rounded_gaussian"](np.array([-1.6]), 48, 2.0)[0, 0] == pytest.approx(math.exp(-1 / 8))


def test_our_own_gaussian_counts_inside_the_crop_only() -> None:
    codec = KeypointCodec(24, 32, 4, 2.0, "soft_argmax")
    inside = codec.can_encode(np.array([[-0.4, 5], [-0.6, 5], [95.4, 5], [95.6, 5], [5, 127.4], [5, 127.6]]))
    assert inside.tolist() == [True, False, True, False, True, False]
