"""Exports of every family of networks agree with torch, in batches of one and of eight.

The other members have the same layers, more of them; docs/networks.md says how they were exported once.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_export.export_network import DecodedNetwork, check_parity, onnx_graph
from model_export.networks import build_network
from service.contract.keypoint_codec import KeypointCodec
from tests.model_export.networks.known_weights import with_unit_answers

COMPACT = {"widths": [8, 8, 12, 16], "blocks": [1, 1, 1], "top_down_width": 12}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("compact", COMPACT),
        ("pose_resnet_18", {"deconv_kernels": [4, 3, 2]}),
        ("fpn_resnet_50", {"stride_placement": "caffe"}),
        ("pose_hrnet_w18", {}),
    ],
)
def test_onnxruntime_agrees_with_torch(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    network = with_unit_answers(build_network(name, 5, options), width=64, height=96)
    decoded = DecodedNetwork(network, KeypointCodec(16, 24, 4, 2.0, "quarter_step", alignment="stride"))
    (tmp_path / "a.onnx").write_bytes(onnx_graph(decoded, width=64, height=96))
    crops_NHW3 = np.random.default_rng(0).integers(0, 256, (8, 96, 64, 3), dtype=np.uint8)
    parity = check_parity(decoded, tmp_path / "a.onnx", crops_NHW3)  # all at once, and one by one
    # Measured, as a share of the largest response: 1e-6 to 3e-6; points 0.
    assert parity.heatmaps < 1e-4
    assert parity.points_in_crop < 0.02
    assert parity.tie_share < 0.2
