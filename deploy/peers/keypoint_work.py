"""What every peer does for a request, the same as the service: only the way to it and back is the peer's own.

N crops of H x W pixels in a batch, K keypoints. Every peer runs in an environment of its own, which needs
numpy, OpenCV, onnxruntime, simplejpeg and pydantic for this file, and of the project only `service.contract`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.crop_transform import Box, CropTransform

# Before onnxruntime is imported: its wheels send telemetry otherwise.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime


class Found(NamedTuple):
    """One object: its box and float64 (K, 2) keypoints in image pixels, and float32 (K,) scores."""

    box: Box
    points_in_image: NDArray[np.float64]
    scores: NDArray[np.float32]


class KeypointWork:
    """A bundle of this project's own kind (uint8 crops in, decoded keypoints out) on the CPU; safe in several threads.

    Args:
        bundle: folder with `manifest.json` and `model.onnx`.
        intra_op_threads: of one forward pass.
    """

    def __init__(self, bundle: Path, intra_op_threads: int) -> None:
        self.manifest = BundleManifest.load(bundle)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the cores that decode; the service has it off too.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(bundle / MODEL_FILE), options, providers=["CPUExecutionProvider"]
        )

    def decode(self, jpeg: bytes) -> NDArray[np.uint8]:
        """RGB (H, W, 3), by the decoder that the service has."""
        return np.asarray(simplejpeg.decode_jpeg(jpeg, "RGB"), np.uint8)

    def find(self, images: Sequence[NDArray[np.uint8]]) -> list[Found]:
        """The one object of each picture: two forward passes, on the whole pictures, then around what was found."""
        wholes = [self.manifest.whole_image_transform(image) for image in images]
        coarse_NK2, _ = self._look(images, wholes)
        boxes = [
            Box.around(whole.to_image(points_in_crop)) for whole, points_in_crop in zip(wholes, coarse_NK2, strict=True)
        ]
        transforms = [self.manifest.crop_transform(box) for box in boxes]
        points_NK2, scores_NK = self._look(images, transforms)
        return [
            Found(box, transform.to_image(points_in_crop), scores)
            for box, transform, points_in_crop, scores in zip(boxes, transforms, points_NK2, scores_NK, strict=True)
        ]

    def answers(self, jpegs: Sequence[bytes]) -> list[dict[str, Any]]:
        """What to say of each picture, ready to be written as JSON; the members are the service's."""
        images = [self.decode(jpeg) for jpeg in jpegs]
        return [self._answer(image, found) for image, found in zip(images, self.find(images), strict=True)]

    def _look(
        self, images: Sequence[NDArray[np.uint8]], transforms: Sequence[CropTransform]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        crops_NHW3 = np.stack([transform.extract(image) for transform, image in zip(transforms, images, strict=True)])
        points_NK2, scores_NK = self._session.run(["keypoints", "scores"], {"crops": crops_NHW3})
        return points_NK2, scores_NK

    def _answer(self, image: NDArray[np.uint8], found: Found) -> dict[str, Any]:
        box = found.box
        return {
            "model": {"name": self.manifest.name, "version": self.manifest.version},
            "image": {"width": image.shape[1], "height": image.shape[0]},
            "instances": [
                {
                    "box": np.round([box.x, box.y, box.width, box.height], 3).tolist(),
                    "score": round(float(found.scores.mean()), 4),
                    "keypoints": [
                        {"name": name, "x": x, "y": y, "score": score}
                        for name, (x, y), score in zip(
                            self.manifest.keypoints.names,
                            np.round(found.points_in_image, 3).tolist(),
                            np.round(found.scores.astype(np.float64), 4).tolist(),
                            strict=True,
                        )
                    ],
                }
            ],
        }


def work_of_environment() -> KeypointWork:
    """The work on the bundle and with the threads that `deploy/peers/servers.py` put into a server's environment."""
    return KeypointWork(Path(os.environ["PEER_BUNDLE"]), int(os.environ["PEER_INTRA_OP_THREADS"]))
