"""Decoding in torch equals the contract's NumPy codec."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_export.heatmap_decoding import read_maps, to_crop, to_heatmap
from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.heatmap_peak import peak_cell
from service.contract.keypoint_codec import HeatmapAlignment, KeypointCodec


@pytest.mark.parametrize("decoding", ["peak", "soft_argmax"])
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.1, 8))
def test_torch_and_numpy_decode_alike(decoding: HeatmapDecoding, seed: int, spread: float) -> None:
    codec = KeypointCodec(heatmap_width=11, heatmap_height=7, stride=4, sigma=1.0, decoding=decoding)
    maps = (np.random.default_rng(seed).normal(size=(3, 5, 7, 11)) * spread).astype(np.float32)
    prediction = read_maps(torch.from_numpy(maps), codec)
    points, scores = codec.decode(prediction.heatmaps_NKhw.numpy())
    # Worst seen: 3e-5 crop pixels.
    assert np.abs(to_crop(prediction.points_in_heatmap_NK2, codec).numpy() - points).max() < 1e-3
    assert np.array_equal(prediction.heatmaps_NKhw.amax(dim=(2, 3)).clamp(0, 1).numpy(), scores)


@pytest.mark.parametrize("decoding", ["peak", "soft_argmax"])
def test_an_encoded_keypoint_is_read_back(decoding: HeatmapDecoding) -> None:
    codec = KeypointCodec(heatmap_width=32, heatmap_height=24, stride=4, sigma=1.0, decoding=decoding)
    points = np.array([[[40.25, 50.5], [90.0, 33.3]]])
    heatmaps = torch.from_numpy(codec.encode(points))
    maps = heatmaps.clamp_min(1e-30).log() if decoding == "soft_argmax" else heatmaps
    prediction = read_maps(maps, codec)
    assert np.abs(to_crop(prediction.points_in_heatmap_NK2, codec).numpy() - points).max() < 0.01
    # The codec's own Gaussian is what the network is to answer: same heatmap, peak about one.
    assert torch.allclose(prediction.heatmaps_NKhw, heatmaps, atol=1e-3)


def answers(seed: int, shape: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Blurred spots with some noise, one map without any response above zero."""
    random = np.random.default_rng(seed)
    N, K, height, width = shape
    x, y = (random.uniform(-0.5, side - 0.5, (N, K, 1, 1)) for side in (width, height))
    rows, columns = np.mgrid[:height, :width]
    clean = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * random.uniform(1, 3) ** 2))
    maps = random.uniform(0.2, 1, (N, K, 1, 1)) * clean + 0.02 * random.normal(size=shape)
    maps[0, 0] = -np.abs(maps[0, 0])
    return np.asarray(maps, np.float32)


@pytest.mark.parametrize(
    ("decoding", "alignment"),
    [("quarter_step", "stride"), ("dark", "stride"), ("dark", "half_pixel"), ("dark_udp", "udp")],
)
@pytest.mark.parametrize("kernel", [7, 11])
@given(seed=st.integers(0, 2**32 - 1))
def test_published_decodings_in_torch_are_the_contracts(
    decoding: HeatmapDecoding, alignment: HeatmapAlignment, kernel: int, seed: int
) -> None:
    codec = KeypointCodec(24, 18, 4, 2.0, decoding, alignment, blur_kernel=kernel)
    maps = answers(seed, (2, 3, 18, 24))
    prediction = read_maps(torch.from_numpy(maps), codec)
    points, scores = codec.decode(maps)
    assert points[0, 0].tolist() == codec.to_crop(np.zeros(2)).tolist()
    # At the map's border the UDP form can step many cells away, along a Hessian that hardly has an inverse.
    column, row = peak_cell(maps)
    steady = np.abs(codec.to_heatmap(points) - np.stack([column, row], axis=-1)).max(axis=-1) < 1.5
    steady[0, 0] = True
    assert steady.sum() >= 2
    off = np.abs(to_crop(prediction.points_in_heatmap_NK2, codec).numpy() - points).max(axis=-1)
    # Worst seen: quarter step 0, DARK 1.2e-5, DARK of UDP 2.5e-3 crop pixels (float32 against float64).
    assert off[steady].max() < 0.02
    assert np.array_equal(prediction.heatmaps_NKhw.amax(dim=(2, 3)).clamp(0, 1).numpy(), scores)


@pytest.mark.parametrize("alignment", ["half_pixel", "stride", "udp"])
def test_heatmap_and_crop_pixels_are_inverse_and_the_contracts(alignment: HeatmapAlignment) -> None:
    codec = KeypointCodec(32, 32, stride=4, sigma=1.0, decoding="peak", alignment=alignment)
    points = torch.rand(10, 2) * 128
    assert torch.allclose(to_crop(to_heatmap(points, codec), codec), points, atol=1e-4)
    assert np.allclose(to_heatmap(points, codec).numpy(), codec.to_heatmap(points.numpy()), atol=1e-4)
