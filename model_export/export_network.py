"""A trained network as one ONNX graph: normalisation, network and decoding, checked against torch on real crops."""

import logging
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import nn

from model_export.errors import TrainingInputError
from model_export.heatmap_decoding import read_maps, to_crop
from model_export.image_normalisation import normalise
from model_export.onnx_inference import OnnxNetwork
from model_export.recipe import ChannelOrder
from service.contract.heatmap_peak import peak_cell, response
from service.contract.keypoint_codec import KeypointCodec

HEATMAP_TOLERANCE = 1e-4
POINT_TOLERANCE_IN_CROP = 0.02
_TIE_MARGIN = 1e-4  # of two responses closer than this, either may be called the greater
_ROUNDING = 1e-5  # far more than two runtimes differ by: a place that this moves is not determined by the map


class ParityError(TrainingInputError):
    """The exported graph does not answer as torch does."""


class Parity(NamedTuple):
    """How far onnxruntime lies from torch.

    Attributes:
        heatmaps: largest difference of a heatmap cell; of maps whose largest response is above one, a share of it.
        points_in_crop: largest distance of a keypoint that is no tie, in crop pixels.
        tie_share: share of keypoints left out of `points_in_crop` because rounding alone decides their place.
    """

    heatmaps: float
    points_in_crop: float
    tie_share: float


class DecodedNetwork(nn.Module):
    """The graph of a bundle: uint8 crops (N, H, W, 3) to keypoints (N, K, 2), scores (N, K), heatmaps (N, K, h, w)."""

    def __init__(self, network: nn.Module, codec: KeypointCodec, channel_order: ChannelOrder = "rgb"):
        super().__init__()
        self.network, self.codec, self.channel_order = network, codec, channel_order

    def forward(self, crops_NHW3: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Keypoints in crop pixels, scores in [0, 1] (the clipped peak), heatmaps."""
        prediction = read_maps(self.network(normalise(crops_NHW3, self.channel_order)), self.codec)
        scores = prediction.heatmaps_NKhw.amax(dim=(2, 3)).clamp(0, 1)
        return to_crop(prediction.points_in_heatmap_NK2, self.codec), scores, prediction.heatmaps_NKhw


def onnx_graph(decoded: DecodedNetwork, width: int, height: int) -> bytes:
    """The ONNX file of a network in evaluation mode, with a symbolic batch dimension.

    Raises:
        ParityError: the exporter fixed the batch size.
    """
    # It says at length that torchvision's operators cannot be exported where torchvision is not installed.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    example = torch.zeros(2, height, width, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        # torch 2.13's exporter uses what torch itself deprecates.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        program = torch.onnx.export(
            decoded.eval(),
            (example,),
            input_names=["crops"],
            output_names=["keypoints", "scores", "heatmaps"],
            dynamic_shapes={"crops_NHW3": {0: torch.export.Dim("batch")}},
            opset_version=20,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    if not batch.dim_param:
        raise ParityError(f"the exported graph's batch size is fixed at {batch.dim_value}, expected a symbolic one")
    graph: bytes = model.SerializeToString()
    return graph


def _forget_origin(model: ModelProto) -> None:
    """Take out what the exporter notes of each node's origin: lines of source with the paths of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]


def check_parity(decoded: DecodedNetwork, onnx_file: Path, crops_NHW3: NDArray[np.uint8]) -> Parity:
    """Compare onnxruntime with torch on real crops, in one batch and one by one.

    Raises:
        ParityError: heatmaps or points differ by more than the tolerances of this module.
    """
    session = OnnxNetwork(onnx_file)
    with torch.inference_mode():
        points, _, heatmaps = (output.numpy() for output in decoded.eval()(torch.from_numpy(crops_NHW3)))
    largest = max(1.0, float(np.abs(heatmaps).max()))
    tied = _is_tie(heatmaps / np.float32(largest), decoded.codec)
    single = [session.run(crops_NHW3[i : i + 1]) for i in range(len(crops_NHW3))]
    worst_heatmap = worst_point = 0.0
    for found in (session.run(crops_NHW3), tuple(np.concatenate(parts) for parts in zip(*single, strict=True))):
        worst_heatmap = max(worst_heatmap, float(np.abs(found[2] - heatmaps).max()) / largest)
        worst_point = max(worst_point, float(np.linalg.norm(found[0] - points, axis=-1)[~tied].max(initial=0.0)))
    parity = Parity(worst_heatmap, worst_point, float(tied.mean()))
    if not (parity.heatmaps <= HEATMAP_TOLERANCE and parity.points_in_crop <= POINT_TOLERANCE_IN_CROP):
        raise ParityError(
            f"onnxruntime and torch differ by {parity.heatmaps:.2g} in heatmaps (allowed {HEATMAP_TOLERANCE:g}) and "
            f"{parity.points_in_crop:.2g} px in points (allowed {POINT_TOLERANCE_IN_CROP:g}): no bundle is written"
        )
    return parity


def _is_tie(heatmaps_NKhw: NDArray[np.float32], codec: KeypointCodec) -> NDArray[np.bool_]:
    """Keypoints (N, K) whose place rounding decides: two peaks, two neighbours to step to, or a flat top."""
    if codec.decoding == "soft_argmax":
        return np.zeros(heatmaps_NKhw.shape[:2], dtype=bool)
    responses = np.sort(heatmaps_NKhw.reshape(*heatmaps_NKhw.shape[:2], -1), axis=-1)
    tied: NDArray[np.bool_] = responses[..., -1] - responses[..., -2] < _TIE_MARGIN
    if codec.decoding == "quarter_step":
        x, y = peak_cell(heatmaps_NKhw)
        for dx, dy in ((1, 0), (0, 1)):
            slope = response(heatmaps_NKhw, x + dx, y + dy) - response(heatmaps_NKhw, x - dx, y - dy)
            tied |= np.abs(slope) < _TIE_MARGIN
    if codec.decoding in {"dark", "dark_udp"}:
        noise = np.random.default_rng(0).uniform(-_ROUNDING, _ROUNDING, heatmaps_NKhw.shape).astype(np.float32)
        moved = codec.decode(heatmaps_NKhw + noise)[0] - codec.decode(heatmaps_NKhw)[0]
        tied |= np.linalg.norm(moved, axis=-1) > POINT_TOLERANCE_IN_CROP
    return tied
