"""The published decodings: hand-computed cases, and the originals' algorithms written down keypoint by keypoint."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.contract.dark_decoding import smoothed
from service.contract.heatmap_decoding import DECODINGS, HeatmapDecoding

Map = NDArray[np.float64]
WIDTH, HEIGHT = 24, 18


def read(decoding: HeatmapDecoding, heatmap: NDArray[np.float32], kernel: int = 11) -> list[float]:
    place: list[float] = DECODINGS[decoding](heatmap[None, None], kernel)[0, 0].tolist()
    return place


def spot(x: int, y: int, around: dict[tuple[int, int], float] | None = None) -> NDArray[np.float32]:
    """An empty map but for a peak of one and what is put around it at (dx, dy)."""
    heatmap = np.zeros((HEIGHT, WIDTH), np.float32)
    heatmap[y, x] = 1.0
    for (dx, dy), value in (around or {}).items():
        heatmap[y + dy, x + dx] = value
    return heatmap


@pytest.mark.parametrize(
    ("heatmap", "expected"),
    [
        (spot(10, 9, {(1, 0): 0.5, (-1, 0): 0.4, (0, -1): 0.2}), [10.25, 8.75]),
        (spot(10, 9, {(1, 0): 0.5, (-1, 0): 0.5}), [10.0, 9.0]),  # equal neighbours: no step
        (spot(2, 2, {(1, 0): 0.5, (0, 1): 0.5}), [2.25, 2.25]),
        (spot(1, 9, {(1, 0): 0.5, (0, 1): 0.5}), [1.0, 9.0]),  # x = 1 is no inner cell, and stops y as well
        (spot(10, 1, {(1, 0): 0.5, (0, 1): 0.5}), [10.0, 1.0]),
        (spot(WIDTH - 2, HEIGHT - 2, {(-1, 0): 0.5, (0, -1): 0.5}), [WIDTH - 2.25, HEIGHT - 2.25]),
        (spot(WIDTH - 1, 9, {(0, 1): 0.5}), [WIDTH - 1.0, 9.0]),
        (spot(10, HEIGHT - 1, {(1, 0): 0.5}), [10.0, HEIGHT - 1.0]),
        (np.zeros((HEIGHT, WIDTH), np.float32), [0.0, 0.0]),
        (spot(10, 9) - np.float32(1), [0.0, 0.0]),  # nowhere above zero, though the greatest is at (10, 9)
    ],
)
def test_the_quarter_step(heatmap: NDArray[np.float32], expected: list[float]) -> None:
    assert read("quarter_step", heatmap) == expected


@given(seed=st.integers(0, 2**32 - 1))
def test_the_quarter_step_on_noise(seed: int) -> None:
    heatmap = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    expected = [float(x), float(y)]
    if 1 < x < WIDTH - 1 and 1 < y < HEIGHT - 1:
        expected[0] += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
        expected[1] += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
    assert read("quarter_step", heatmap) == expected


def noisy_gaussian(seed: int) -> NDArray[np.float32]:
    """What a trained network answers: a blurred spot somewhere, some noise, now and then a negative cell."""
    random = np.random.default_rng(seed)
    x, y = random.uniform(-0.5, WIDTH - 0.5), random.uniform(-0.5, HEIGHT - 0.5)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    clean = random.uniform(0.2, 1) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * random.uniform(1, 3) ** 2))
    return np.asarray(clean + 0.02 * random.normal(size=clean.shape), np.float32)


def modulated(heatmap: NDArray[np.float32], kernel: int) -> Map:
    """A border of zeros, a Gaussian blur, the border off again, and the old maximum restored."""
    border = (kernel - 1) // 2
    padded = np.zeros((HEIGHT + 2 * border, WIDTH + 2 * border))
    padded[border:-border, border:-border] = heatmap
    blurred = np.asarray(cv2.GaussianBlur(padded, (kernel, kernel), 0), np.float64)[border:-border, border:-border]
    return np.asarray(blurred * (heatmap.max() / blurred.max()))


@pytest.mark.parametrize("kernel", [3, 7, 11, 17])
def test_smoothing_is_the_originals(kernel: int) -> None:
    heatmap = noisy_gaussian(1)
    # Measured: 2e-16.
    assert np.abs(smoothed(heatmap[None, None], kernel)[0, 0] - modulated(heatmap, kernel)).max() < 1e-9


def dark_by_the_book(heatmap: NDArray[np.float32], kernel: int) -> list[float]:
    y, x = (int(i) for i in np.unravel_index(heatmap.argmax(), heatmap.shape))
    logs = np.log(np.maximum(modulated(heatmap, kernel), 1e-10))
    place = np.array([x, y], np.float64)
    if 1 < x < WIDTH - 2 and 1 < y < HEIGHT - 2:
        gradient = np.array([logs[y, x + 1] - logs[y, x - 1], logs[y + 1, x] - logs[y - 1, x]]) / 2
        dxx = (logs[y, x + 2] - 2 * logs[y, x] + logs[y, x - 2]) / 4
        dyy = (logs[y + 2, x] - 2 * logs[y, x] + logs[y - 2, x]) / 4
        dxy = (logs[y + 1, x + 1] - logs[y - 1, x + 1] - logs[y + 1, x - 1] + logs[y - 1, x - 1]) / 4
        place -= np.linalg.solve(np.array([[dxx, dxy], [dxy, dyy]]), gradient)
    found: list[float] = place.tolist()
    return found


def dark_udp_by_the_book(heatmap: NDArray[np.float32], kernel: int) -> list[float]:
    y, x = (int(i) for i in np.unravel_index(heatmap.argmax(), heatmap.shape))
    logs = np.pad(np.log(np.clip(modulated(heatmap, kernel), 1e-3, 50)), 1, mode="edge")
    right, left = logs[y + 1, x + 2], logs[y + 1, x]
    below, above = logs[y + 2, x + 1], logs[y, x + 1]
    here, below_right, above_left = logs[y + 1, x + 1], logs[y + 2, x + 2], logs[y, x]
    dxy = (below_right - right - below + here + here - left - above + above_left) / 2
    hessian = np.array([[right - 2 * here + left, dxy], [dxy, below - 2 * here + above]])
    gradient = np.array([right - left, below - above]) / 2
    found: list[float] = (np.array([x, y]) - np.linalg.solve(hessian + 1.1920929e-07 * np.eye(2), gradient)).tolist()
    return found


@pytest.mark.parametrize("kernel", [3, 11, 17])
@given(seed=st.integers(0, 2**32 - 1))
def test_dark_is_the_originals(kernel: int, seed: int) -> None:
    heatmap = noisy_gaussian(seed)
    # Worst seen: 5e-12 cells.
    assert read("dark", heatmap, kernel) == pytest.approx(dark_by_the_book(heatmap, kernel), abs=1e-5)
    assert read("dark_udp", heatmap, kernel) == pytest.approx(dark_udp_by_the_book(heatmap, kernel), abs=1e-5)


@pytest.mark.parametrize("decoding", ["dark", "dark_udp"])
@pytest.mark.parametrize("value", [0.0, -1.0, 0.7])
def test_dark_on_a_flat_map_takes_no_step(decoding: HeatmapDecoding, value: float) -> None:
    # At the corner, for all cells are equal; with 0.7 the blur over the edge slopes, which only dark_udp refines.
    place = read(decoding, np.full((HEIGHT, WIDTH), value, np.float32))
    assert np.isfinite(place).all()
    if value <= 0 or decoding == "dark":
        assert place == [0.0, 0.0]


@pytest.mark.parametrize("decoding", sorted(DECODINGS))
def test_maps_of_one_batch_do_not_mix(decoding: HeatmapDecoding) -> None:
    maps = np.stack([[np.maximum(noisy_gaussian(3 * n + k), 0) for k in range(3)] for n in range(2)])
    together = DECODINGS[decoding](maps, 11)
    assert together.shape == (2, 3, 2)
    for n, k in np.ndindex(2, 3):
        assert together[n, k].tolist() == pytest.approx(read(decoding, maps[n, k]))


@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(3, 8), st.integers(3, 8)))
@pytest.mark.parametrize("decoding", sorted(DECODINGS))
def test_every_map_however_odd_gives_a_finite_place(
    decoding: HeatmapDecoding, seed: int, size: tuple[int, int]
) -> None:
    random = np.random.default_rng(seed)
    maps = (random.normal(size=(2, 3, *size)) * 10.0 ** random.uniform(-6, 3)).astype(np.float32)
    if decoding == "soft_argmax":
        maps = np.abs(maps)
    assert np.isfinite(DECODINGS[decoding](maps, 11)).all()
