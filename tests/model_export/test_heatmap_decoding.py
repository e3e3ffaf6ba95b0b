"""Decoding in torch equals the contract's NumPy codec."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model_export.heatmap_decoding import read_maps, to_crop, to_heatmap
from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.keypoint_codec import KeypointCodec


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


def test_heatmap_and_crop_pixels_are_inverse_and_the_contracts() -> None:
    codec = KeypointCodec(heatmap_width=32, heatmap_height=32, stride=4, sigma=1.0, decoding="peak")
    points = torch.rand(10, 2) * 128
    assert torch.allclose(to_crop(to_heatmap(points, codec), codec), points, atol=1e-4)
    assert np.allclose(to_heatmap(points, codec).numpy(), codec.to_heatmap(points.numpy()), atol=1e-4)
