"""What the service asks of an engine; nothing here knows onnxruntime, requests or queues.

N crops, K keypoints, H x W pixels of a crop.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from service.contract.bundle_manifest import BundleManifest


class EngineOutput(NamedTuple):
    """Keypoints of N crops.

    Attributes:
        points_in_crop_NK2: float32, x and y in crop pixels.
        scores_NK: float32 in [0, 1].
        heatmaps_NKHW: float32, where they were asked for.
    """

    points_in_crop_NK2: NDArray[np.float32]
    scores_NK: NDArray[np.float32]
    heatmaps_NKHW: NDArray[np.float32] | None = None


class KeypointEngine(Protocol):
    """A loaded model."""

    @property
    def manifest(self) -> BundleManifest:
        """What the bundle says of the model."""

    @property
    def provider(self) -> str:
        """The execution provider in use: `cpu` or `cuda`."""

    def warm_up(self, batch_sizes: Sequence[int]) -> dict[int, float]:
        """Run batches of each size, so that no request pays for the first one; returns the seconds that each takes."""

    def twin(self) -> "KeypointEngine":
        """The same model with buffers of its own, for another thread."""

    def widened(self, threads: int) -> "KeypointEngine":
        """The same model with so many threads for a forward pass, warm for one crop.

        Raises:
            BundleError: the bundle's files have changed since it was loaded.
            StartupError: it does not run so, or answers otherwise.
        """

    def run(self, crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        """Keypoints of N >= 1 RGB crops of the manifest's size. Blocks; called from one thread at a time.

        The array is the caller's and is used again: it must not be kept.
        """

    def run_with_heatmaps(self, crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        """The same with the heatmaps, which are large: for models whose manifest describes some."""
