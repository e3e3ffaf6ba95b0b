"""Encode, then decode: how far a keypoint moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.keypoint_codec import KeypointCodec

WIDTH, HEIGHT, STRIDE = 32, 24, 4


def codec(decoding: HeatmapDecoding, sigma: float = 1.0) -> KeypointCodec:
    return KeypointCodec(WIDTH, HEIGHT, STRIDE, sigma, decoding)


def roundtrip_error(of: KeypointCodec, x: float, y: float) -> float:
    """Crop pixels between a keypoint and what is decoded from its heatmap."""
    points, scores = of.decode(of.encode(np.array([[[x, y]]])))
    assert 0.0 < scores[0, 0] <= 1.0
    return float(np.hypot(points[0, 0, 0] - x, points[0, 0, 1] - y))


# The crop spans -0.5 ... size - 0.5 in its own pixels.
in_crop = st.tuples(st.floats(-0.5, WIDTH * STRIDE - 0.5), st.floats(-0.5, HEIGHT * STRIDE - 0.5))


@given(point=in_crop, sigma=st.floats(0.8, 3.0))
def test_the_peak_is_decoded_within_a_hundredth_of_a_pixel_anywhere_in_the_crop(
    point: tuple[float, float], sigma: float
) -> None:
    # Worst seen: 2e-4 px; a Gaussian's logarithm is a parabola, so the step is exact but for float32.
    assert roundtrip_error(codec("peak", sigma), *point) < 0.01


@given(
    x=st.floats(4 * STRIDE, (WIDTH - 4) * STRIDE),
    y=st.floats(4 * STRIDE, (HEIGHT - 4) * STRIDE),
)
def test_the_centre_of_mass_is_decoded_within_a_hundredth_of_a_pixel_four_cells_inside(x: float, y: float) -> None:
    # Worst seen: 6e-3 px, the tail of the Gaussian that the map cuts off.
    assert roundtrip_error(codec("soft_argmax"), x, y) < 0.01


@given(point=in_crop)
def test_the_centre_of_mass_moves_inwards_by_at_most_a_spread_and_a_bit_at_the_border(
    point: tuple[float, float],
) -> None:
    # At the border half of the Gaussian is cut off: the mean of what is left lies up to 1.2 spreads further in.
    assert roundtrip_error(codec("soft_argmax"), *point) < 1.2 * STRIDE * np.sqrt(2)


@pytest.mark.parametrize("decoding", ["peak", "soft_argmax"])
def test_heatmap_and_crop_pixels_share_the_half_pixel_convention(decoding: HeatmapDecoding) -> None:
    of = codec(decoding)
    assert np.allclose(of.to_crop(np.array([0.0, 10.0])), [1.5, 41.5])
    assert np.allclose(of.to_heatmap(of.to_crop(np.array([3.25, 7.5]))), [3.25, 7.5])


def test_the_score_is_the_clipped_peak() -> None:
    of = codec("peak")
    heatmaps = np.zeros((1, 3, HEIGHT, WIDTH), np.float32)
    heatmaps[0, 0, 5, 6], heatmaps[0, 1, 5, 6], heatmaps[0, 2] = 0.25, 1.75, -0.5
    _, scores = of.decode(heatmaps)
    assert scores.tolist() == [[0.25, 1.0, 0.0]]


@pytest.mark.parametrize("decoding", ["peak", "soft_argmax"])
def test_an_empty_map_still_gives_a_finite_point_with_score_zero(decoding: HeatmapDecoding) -> None:
    points, scores = codec(decoding).decode(np.zeros((1, 1, HEIGHT, WIDTH), np.float32))
    assert np.isfinite(points).all()
    assert scores[0, 0] == 0


def test_maps_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected heatmaps of shape \(N, K, 24, 32\), found \(1, 1, 8, 8\)"):
        codec("peak").decode(np.zeros((1, 1, 8, 8), np.float32))
