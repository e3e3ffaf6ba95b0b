"""The published decodings inside an exported graph: onnxruntime, torch and the contract agree."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from model_export.export_network import DecodedNetwork, check_parity, onnx_graph
from model_export.onnx_inference import OnnxNetwork
from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.keypoint_codec import HeatmapAlignment, KeypointCodec


class Spots(nn.Module):
    """Answers how bright a channel of the crop is, one cell for four pixels: spots in, spots out."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.25))

    def forward(self, images_N3HW: torch.Tensor) -> torch.Tensor:
        return self.gain * nn.functional.avg_pool2d(images_N3HW, 4)


def crops_with_spots(count: int) -> NDArray[np.uint8]:
    """Crops (count, 64, 96, 3) with one blurred spot in each channel, some over the edge, and a little noise."""
    random = np.random.default_rng(2)
    x, y = random.uniform(-2, 98, (count, 1, 1, 3)), random.uniform(-2, 66, (count, 1, 1, 3))
    rows, columns = np.mgrid[:64, :96][..., None]
    spots = 230 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 8.0**2))
    return np.asarray(spots + random.uniform(0, 20, spots.shape), np.uint8)


@pytest.mark.parametrize(
    ("decoding", "alignment"), [("quarter_step", "stride"), ("dark", "half_pixel"), ("dark_udp", "udp")]
)
def test_onnxruntime_torch_and_the_contract_agree(
    tmp_path: Path, decoding: HeatmapDecoding, alignment: HeatmapAlignment
) -> None:
    codec = KeypointCodec(24, 16, 4, 2.0, decoding, alignment)
    decoded, graph, crops = DecodedNetwork(Spots(), codec), tmp_path / "a.onnx", crops_with_spots(8)
    graph.write_bytes(onnx_graph(decoded, 96, 64))
    parity = check_parity(decoded, graph, crops)
    assert parity.tie_share < 0.2
    found = OnnxNetwork(graph).run(crops)
    points, scores = codec.decode(found.heatmaps_NKhw)
    # Measured: quarter step 0, DARK 8e-6, DARK of UDP 8e-5 crop pixels.
    assert np.abs(found.points_in_crop_NK2 - points).max() < 1e-3
    assert np.array_equal(found.scores_NK, scores)
    # The spots lie where they were drawn, but for those over the edge: this is no network that answers anything.
    assert np.ptp(points[..., 0]) > 60
