"""How long the graphs take on this machine, side by side."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 15


def milliseconds_per_crop(graphs: Sequence[Path], crops_NHW3: NDArray[np.uint8]) -> list[float]:
    """The least time of each ONNX file for one crop of this batch, on one CPU thread; they take turns.

    The least, for whatever else the machine does only adds to it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is imported
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in graphs]
    seconds: list[list[float]] = [[] for _ in graphs]
    for _ in range(_ROUNDS):
        for session, taken in zip(sessions, seconds, strict=True):
            started = time.perf_counter()
            session.run(["keypoints", "scores"], {"crops": crops_NHW3})
            taken.append(time.perf_counter() - started)
    return [1000 * min(taken) / len(crops_NHW3) for taken in seconds]
