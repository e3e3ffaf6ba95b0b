"""A model without a network: keypoint k lies where channel k of the crop is bright, so the answer identifies its input.

The NumPy engine and the ONNX bundle compute the same. Pictures for it are black with one red, one green, one blue disc.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save_model

from service.contract.bundle_manifest import BundleManifest
from service.contract.golden_images import GoldenImage, save_golden_images
from service.engine import EngineOutput

CROP_WIDTH, CROP_HEIGHT = 48, 40
DISC_RADIUS = 6.0
CENTRES = np.array([[40.0, 30.0], [100.0, 44.0], [70.0, 90.0]])
BOX_AROUND_CENTRES = (35.0, 25.0, 71.0, 71.0)

_TINY = 1e-6


def fake_manifest(sha256: dict[str, str] | None = None, **changes: Any) -> BundleManifest:
    """The manifest of the fake model."""
    fields: dict[str, Any] = {
        "name": "discs",
        "version": "1.2.3",
        "description": "red, green and blue discs",
        "keypoints": {"names": ("red", "green", "blue"), "skeleton": ((0, 1), (1, 2)), "flip_pairs": ((0, 1),)},
        "input": {"width": CROP_WIDTH, "height": CROP_HEIGHT, "padding": 2.0},
        "output": {
            "heatmap_width": CROP_WIDTH,
            "heatmap_height": CROP_HEIGHT,
            "stride": 1,
            "sigma": 1.0,
            "decoding": "soft_argmax",
        },
        "licence": {"name": "Apache-2.0", "summary": "Free to use.", "research_only": False},
        "sha256": sha256 or {"model.onnx": "0" * 64},
    }
    return BundleManifest.model_validate({**fields, **changes})


def draw_discs(
    centres_in_image: NDArray[np.float64] = CENTRES, width: int = 160, height: int = 120
) -> NDArray[np.uint8]:
    """A black RGB picture (height, width, 3) with a disc in channel k around centre k."""
    picture = np.zeros((height, width, 3), np.uint8)
    for channel, (x, y) in enumerate(centres_in_image):
        plane = np.zeros((height, width), np.uint8)
        cv2.circle(plane, (round(x * 16), round(y * 16)), round(DISC_RADIUS * 16), 255, cv2.FILLED, cv2.LINE_AA, 4)
        picture[:, :, channel] = plane
    return picture


def encode(picture: NDArray[np.uint8], suffix: str = ".png") -> bytes:
    """The bytes of an image file."""
    written, encoded = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert written
    return encoded.tobytes()


class FakeEngine:
    """The model in NumPy.

    Args:
        before_run: called with each batch before it is worked on; it may block or raise.
    """

    provider = "cpu"

    def __init__(self, before_run: Callable[[NDArray[np.uint8]], None] = lambda _: None) -> None:
        self.manifest = fake_manifest()
        self.batch_sizes: list[int] = []
        self.threads: set[str] = set()
        self.before_run = before_run

    def warm_up(self, batch_sizes: Sequence[int]) -> dict[int, float]:
        """Nothing to warm and nothing to measure."""
        return {}

    def twin(self) -> "FakeEngine":
        """Itself: it has no buffers."""
        return self

    def widened(self, threads: int) -> "FakeEngine":
        """Itself: it has one thread."""
        return self

    def run(self, crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        """The centre of mass and the peak of each channel."""
        assert crops_NHW3.dtype == np.uint8
        assert crops_NHW3.shape[1:] == (CROP_HEIGHT, CROP_WIDTH, 3)
        self.before_run(crops_NHW3)
        self.batch_sizes.append(len(crops_NHW3))
        self.threads.add(threading.current_thread().name)
        light = crops_NHW3.astype(np.float32) / 255
        mass = light.sum(axis=(1, 2)) + _TINY
        x = np.einsum("nhwk,w->nk", light, np.arange(CROP_WIDTH)) / mass
        y = np.einsum("nhwk,h->nk", light, np.arange(CROP_HEIGHT)) / mass
        return EngineOutput(np.stack([x, y], axis=-1).astype(np.float32), light.max(axis=(1, 2)))

    def run_with_heatmaps(self, crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        """The light itself is what the points are read from."""
        heatmaps_NKHW = np.moveaxis(crops_NHW3, -1, 1).astype(np.float32) / np.float32(255)
        return self.run(crops_NHW3)._replace(heatmaps_NKHW=heatmaps_NKHW)


def write_bundle(
    folder: Path,
    *,
    golden_shift: float = 0.0,
    batch: str | int = "N",
    input_type: int = TensorProto.UINT8,
    **changes: Any,
) -> Path:
    """Write the fake model as a bundle with one golden image; the arguments make it a wrong one.

    `changes` are of its manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_model(_graph(batch, input_type), str(folder / "model.onnx"))
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    fake_manifest({"model.onnx": digest}, **changes).save(folder)
    expected = CENTRES + golden_shift
    golden = GoldenImage(
        image="discs.png",
        source="drawn by the tests",
        box=BOX_AROUND_CENTRES,
        points_in_image=tuple((float(x), float(y)) for x, y in expected),
        tolerance=0.5,
    )
    save_golden_images(folder, (golden,))
    (folder / "golden" / "discs.png").write_bytes(encode(draw_discs()))
    return folder


def _graph(batch: str | int, input_type: int) -> Any:
    def constant(name: str, values: NDArray[Any]) -> Any:
        return numpy_helper.from_array(values, name)

    sizes = {
        "crops": (input_type, [batch, CROP_HEIGHT, CROP_WIDTH, 3]),
        "keypoints": (TensorProto.FLOAT, [batch, 3, 2]),
        "scores": (TensorProto.FLOAT, [batch, 3]),
        "heatmaps": (TensorProto.FLOAT, [batch, 3, CROP_HEIGHT, CROP_WIDTH]),
    }
    values = {name: helper.make_tensor_value_info(name, dtype, shape) for name, (dtype, shape) in sizes.items()}
    rows, columns = np.mgrid[:CROP_HEIGHT, :CROP_WIDTH].astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["crops"], ["bytes"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["bytes", "full"], ["light"]),
        helper.make_node("Transpose", ["light"], ["heatmaps"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMax", ["heatmaps", "plane"], ["scores"], keepdims=0),
        helper.make_node("Reshape", ["heatmaps", "flat"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "places"], ["moments"]),
        helper.make_node("ReduceSum", ["pixels", "last"], ["mass"], keepdims=1),
        helper.make_node("Add", ["mass", "tiny"], ["some_mass"]),
        helper.make_node("Div", ["moments", "some_mass"], ["keypoints"]),
    ]
    constants = [
        constant("full", np.array([255.0], np.float32)),
        constant("tiny", np.array([_TINY], np.float32)),
        constant("plane", np.array([2, 3], np.int64)),
        constant("last", np.array([2], np.int64)),
        constant("flat", np.array([0, 3, CROP_HEIGHT * CROP_WIDTH], np.int64)),
        constant("places", np.stack([columns.ravel(), rows.ravel()], axis=-1)),
    ]
    graph = helper.make_graph(
        nodes, "discs", [values["crops"]], [values["keypoints"], values["scores"], values["heatmaps"]], constants
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
