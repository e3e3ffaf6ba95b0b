"""The flip test: heatmaps of a crop averaged with those of its mirror image, mirrored back.

N crops, K keypoints, h x w cells.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model_export.augmentation import swap_flip_pairs
from model_export.onnx_inference import NetworkOutput
from service.contract.keypoint_codec import KeypointCodec

FlipTest = Literal["none", "plain", "shifted"]

FLIP_TESTS: dict[FlipTest, str] = {
    "none": "no flip test",
    "plain": "flip test",
    "shifted": "flip test, flipped heatmaps shifted by one cell",
}


class Network(Protocol):
    """What answers crops, such as `OnnxNetwork`."""

    def run(self, crops_NHW3: NDArray[np.uint8]) -> NetworkOutput:
        """Keypoints, scores and heatmaps for uint8 RGB crops (N, H, W, 3)."""


def flip_back(
    heatmaps_NKhw: NDArray[np.float32], flip_pairs: Sequence[tuple[int, int]], *, shifted: bool
) -> NDArray[np.float32]:
    """The heatmaps of mirrored crops, mirrored back with the two of each pair exchanged; a new array.

    Args:
        heatmaps_NKhw: of mirrored crops.
        flip_pairs: keypoints that change places in a mirrored picture.
        shifted: moves them one cell to the right, column 0 staying as it is. Simple Baselines and HRNet do so, for with
            alignment `stride` a mirrored cell lies three quarters of a cell (stride 4) left of where it belongs.
    """
    back = np.swapaxes(swap_flip_pairs(np.swapaxes(heatmaps_NKhw[..., ::-1], 0, 1), flip_pairs), 0, 1).copy()
    if shifted:
        back[..., 1:] = back[..., :-1].copy()
    return back


def answer(
    network: Network,
    crops_NHW3: NDArray[np.uint8],
    codec: KeypointCodec,
    flip_pairs: Sequence[tuple[int, int]],
    flip_test: FlipTest,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points (N, K, 2) in crop pixels and scores (N, K) of uint8 RGB crops (N, H, W, 3).

    Without a flip test they are the graph's own; with one, the contract's codec decodes the averaged heatmaps.
    """
    plain = network.run(crops_NHW3)
    if flip_test == "none":
        return plain.points_in_crop_NK2, plain.scores_NK
    flipped = network.run(np.ascontiguousarray(crops_NHW3[:, :, ::-1])).heatmaps_NKhw
    back = flip_back(flipped, flip_pairs, shifted=flip_test == "shifted")
    return codec.decode((plain.heatmaps_NKhw + back) * np.float32(0.5))
