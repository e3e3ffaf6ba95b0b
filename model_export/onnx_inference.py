"""An ONNX graph of this project run in process, for evaluation and for the checks at export."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.errors import RunError


class NetworkOutput(NamedTuple):
    """Keypoints (N, K, 2) in crop pixels, scores (N, K), heatmaps (N, K, h, w)."""

    points_in_crop_NK2: NDArray[np.float32]
    scores_NK: NDArray[np.float32]
    heatmaps_NKhw: NDArray[np.float32]


class OnnxNetwork:
    """One ONNX file on the CPU."""

    def __init__(self, path: Path):
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is imported
        import onnxruntime  # noqa: PLC0415

        try:
            self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise RunError(f"{path} cannot be loaded by onnxruntime: {error}") from error

    def run(self, crops_NHW3: NDArray[np.uint8]) -> NetworkOutput:
        """Keypoints, scores and heatmaps for uint8 RGB crops (N, H, W, 3)."""
        return NetworkOutput(*self._session.run(["keypoints", "scores", "heatmaps"], {"crops": crops_NHW3}))
