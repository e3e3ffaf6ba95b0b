"""Encode, then decode: how far a keypoint moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.heatmap_encoding import HeatmapEncoding
from service.contract.keypoint_codec import HeatmapAlignment, KeypointCodec

WIDTH, HEIGHT, STRIDE = 32, 24, 4
ALIGNMENTS: tuple[HeatmapAlignment, ...] = ("half_pixel", "stride", "udp")


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


# The worst distance along x or y, in cells, between a keypoint and what is decoded from its heatmap: ten cells or more
# from the border, and anywhere in the map. Measured over 36,000 places each, sigma 1, 2 and 3, all alignments.
INNER, ANYWHERE = 0, 1
WORST_IN_CELLS: dict[tuple[HeatmapEncoding, HeatmapDecoding], tuple[float, float]] = {
    ("gaussian", "soft_argmax"): (0.0025, 2.1),  # near the border part of the mass is missing
    ("gaussian", "peak"): (1e-5, 1e-5),
    ("gaussian", "quarter_step"): (0.25, 0.5),  # no step in the outermost cells
    ("gaussian", "dark"): (3.4e-4, 0.75),  # no step in the two outermost cells; zeros outside pull its blur inwards
    ("gaussian", "dark_udp"): (4e-5, 1.27),  # it steps from the border on a slope that the blur made
    ("cut_gaussian", "soft_argmax"): (0.0084, 2.1),
    ("cut_gaussian", "peak"): (1e-5, 1e-5),
    ("cut_gaussian", "quarter_step"): (0.25, 0.5),
    ("cut_gaussian", "dark"): (1e-3, 0.75),
    ("cut_gaussian", "dark_udp"): (9.5e-4, 1.27),
    ("rounded_gaussian", "soft_argmax"): (0.5, 2.1),  # the nearest cell is all that its map knows
    ("rounded_gaussian", "peak"): (0.5, 0.5),
    ("rounded_gaussian", "quarter_step"): (0.5, 0.5),
    ("rounded_gaussian", "dark"): (0.5, 1.01),
    ("rounded_gaussian", "dark_udp"): (0.5, 1.45),
}


@pytest.mark.parametrize(("encoding", "decoding"), list(WORST_IN_CELLS))
@given(
    place=st.tuples(st.floats(0, WIDTH - 1), st.floats(0, HEIGHT - 1)),
    sigma=st.sampled_from([1.0, 2.0, 3.0]),
    alignment=st.sampled_from(ALIGNMENTS),
)
def test_decode_undoes_encode_as_far_as_each_pairing_can(
    encoding: HeatmapEncoding,
    decoding: HeatmapDecoding,
    place: tuple[float, float],
    sigma: float,
    alignment: HeatmapAlignment,
) -> None:
    of = KeypointCodec(WIDTH, HEIGHT, STRIDE, sigma, decoding, alignment, encoding)
    point = of.to_crop(np.array(place))
    found, scores = of.decode(of.encode(point)[None, None])
    from_border = min(place[0], place[1], WIDTH - 1 - place[0], HEIGHT - 1 - place[1])
    worst = WORST_IN_CELLS[encoding, decoding][INNER if from_border >= 10 else ANYWHERE]
    # A tenth more than was measured (hypothesis looks for corners), and float32's share of it.
    assert np.abs(of.to_heatmap(found[0, 0]) - place).max() < 1.1 * worst + 1e-4
    # The highest cell lies within half a cell along both axes of a Gaussian with a peak of one.
    assert np.exp(-0.25 / sigma**2) - 1e-6 <= scores[0, 0] <= 1


@given(x=st.floats(-50, 200), y=st.floats(-50, 200), alignment=st.sampled_from(ALIGNMENTS))
def test_crop_and_heatmap_pixels_are_inverse(x: float, y: float, alignment: HeatmapAlignment) -> None:
    of = KeypointCodec(WIDTH, HEIGHT, STRIDE, 1.0, "peak", alignment)
    assert np.allclose(of.to_crop(of.to_heatmap(np.array([x, y]))), [x, y], atol=1e-9)


@pytest.mark.parametrize(
    ("alignment", "first", "last"),
    [
        # A heatmap of 32 x 24 cells, a crop of 128 x 96 pixels.
        ("half_pixel", (1.5, 1.5), (125.5, 93.5)),
        ("stride", (0, 0), (124, 92)),
        ("udp", (0, 0), (127, 95)),
    ],
)
def test_the_first_and_last_cell_lie_where_each_alignment_says(
    alignment: HeatmapAlignment, first: tuple[float, float], last: tuple[float, float]
) -> None:
    of = KeypointCodec(WIDTH, HEIGHT, STRIDE, 1.0, "peak", alignment)
    assert np.allclose(of.to_crop(np.array([[0, 0], [WIDTH - 1, HEIGHT - 1]])), [first, last])
