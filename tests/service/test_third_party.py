"""Pose files of others: adopted, served over a real connection, and every keypoint where it is known to be."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from service.contract.bundle_manifest import BundleManifest
from service.model_loading import load_model
from tests.fakes import encode
from tests.service.adoption_runs import HEATMAP_DECODER, MSRA, SIMCC, UDP, adopt, write_pipeline
from tests.service.conftest import StartServer
from tests.third_party_graphs import Preparation, draw_colours, write_coordinates, write_heatmaps, write_simcc

# Grown by 1.25 this box is 192 x 256 around (120, 150): with the warp top_down a crop pixel is a picture's pixel, and
# the crop's corner is (24, 22). The points lie a quarter of a cell beside cells, where a quarter step answers exactly,
# and on whole bins of SimCC.
BOX = (43.2, 47.6, 153.6, 204.8)
CELLS = np.array([[15.25, 20.25], [34.75, 30.25], [22.25, 50.75]])
POINTS = 4 * CELLS + [24, 22]
WIDTH, HEIGHT = 250, 310
BGR = (2, 1, 0)
PICTURE = encode(draw_colours(POINTS, WIDTH, HEIGHT))
PNG = {"Content-Type": "image/png"}


class Case(NamedTuple):
    """A file to write, beside what, to adopt with which flags, and the scores to expect."""

    write: Callable[[Path], Any]
    flags: tuple[str, ...] = ()
    pipeline: Callable[[Path], None] = lambda _: None
    score: float = 1.0


def heatmaps(feed: Preparation = Preparation(), **options: Any) -> Callable[[Path], Any]:  # noqa: B008 - frozen
    return lambda path: write_heatmaps(path, feed, **options)


def simcc(feed: Preparation = Preparation(), **options: Any) -> Callable[[Path], Any]:  # noqa: B008 - frozen
    return lambda path: write_simcc(path, feed, **options)


def coordinates(**options: Any) -> Callable[[Path], Any]:
    return lambda path: write_coordinates(path, Preparation(), **options)


def pipeline(component: str, parameters: dict[str, Any], **options: Any) -> Callable[[Path], None]:
    return lambda folder: write_pipeline(folder, component, parameters, **options)


AS_IMAGENET = ("--colour-order", "rgb", "--mean", "123.675,116.28,103.53", "--std", "58.395,57.12,57.375")
PLAIN = ("--kind", "coordinates", *AS_IMAGENET, "--padding", "1.25", "--warp", "top_down")
# A quarter of a cell beside the middle, a Gaussian of sigma 2 is down to exp(-1/64) along both axes.
QUARTER = float(np.exp(-1 / 64))

CASES = {
    "mmdeploy_msra": Case(heatmaps(), pipeline=pipeline(HEATMAP_DECODER, MSRA), score=QUARTER),
    "mmdeploy_of_batch_one": Case(
        heatmaps(Preparation(batch=1)), pipeline=pipeline(HEATMAP_DECODER, MSRA), score=QUARTER
    ),
    "mmdeploy_bgr": Case(
        heatmaps(Preparation(channels=BGR)), pipeline=pipeline(HEATMAP_DECODER, MSRA, to_rgb=False), score=QUARTER
    ),
    "mmdeploy_dark": Case(
        heatmaps(), pipeline=pipeline(HEATMAP_DECODER, MSRA | {"unbiased": True}), score=QUARTER
    ),
    "mmdeploy_udp": Case(heatmaps(udp=True, peak=0.5), pipeline=pipeline(HEATMAP_DECODER, UDP, udp=True), score=0.5),
    "mmdeploy_0.x": Case(
        heatmaps(),
        pipeline=pipeline(HEATMAP_DECODER, {"flip_test": False, "post_process": "default", "modulate_kernel": 11}),
        score=QUARTER,
    ),
    "rtmpose": Case(simcc(), pipeline=pipeline("SimCCLabelDecode", SIMCC), score=0.5),
    "rtmpose_as_rtmlib": Case(simcc(), ("--score-rule", "mean"), pipeline("SimCCLabelDecode", SIMCC), score=0.7),
    "rtmpose_without_pipeline": Case(simcc(), AS_IMAGENET, score=0.5),
    "rtmpose_renamed": Case(
        simcc(outputs=("output", "700")),
        pipeline=pipeline("SimCCLabelDecode", SIMCC, output_map={"output": "simcc_x", "700": "simcc_y"}),
        score=0.5,
    ),
    "rtmpose_that_decodes": Case(
        coordinates(normalized=False, score=0.25, outputs=("simcc_x", "simcc_y")),
        pipeline=pipeline("SimCCLabelDecode", SIMCC | {"export_postprocess": True}),
        score=0.25,
    ),
    "regression": Case(
        coordinates(normalized=True, outputs=("output",)),
        pipeline=pipeline("DeepposeRegressionHeadDecode", {"type": "RegressionLabel", "input_size": [192, 256]}),
    ),
    "hrnet": Case(heatmaps(output="2947"), ("--kind", "hrnet"), score=QUARTER),
    "hrnet_dark": Case(heatmaps(output="2947"), ("--kind", "hrnet", "--decoding", "dark"), score=QUARTER),
    "simplebaseline": Case(heatmaps(Preparation(channels=BGR)), ("--kind", "simplebaseline"), score=QUARTER),
    "vitpose": Case(
        heatmaps(Preparation(batch=1, input_name="input.1"), udp=True, peak=0.5, output="1270"),
        ("--kind", "vitpose"),
        score=0.5,
    ),
    "pixels": Case(coordinates(normalized=False), (*PLAIN, "--unit", "pixel")),
    "pixels_and_scores": Case(coordinates(normalized=False, score=0.75), (*PLAIN, "--unit", "pixel"), score=0.75),
    "normalized": Case(coordinates(normalized=True), (*PLAIN, "--unit", "normalized")),
    "scores_apart": Case(
        coordinates(normalized=True, score=0.25, outputs=("kpts", "conf")), (*PLAIN, "--unit", "normalized"), score=0.25
    ),
}  # fmt: skip


def served_keypoints(start_server: StartServer, bundle: Path, boxes: int = 1) -> list[Any]:
    """The keypoints that a server with the bundle finds in the picture, for the box as often as is said."""
    server = start_server(load_model(bundle, "cpu", 1), max_batch=4)
    query = ";".join([",".join(map(str, BOX))] * boxes)
    answer = server.client.post(f"/v1/keypoints?boxes={query}", content=PICTURE, headers=PNG)
    assert answer.status_code == 200, answer.text
    return [instance["keypoints"] for instance in answer.json()["instances"]]


def places(keypoints: list[Any]) -> NDArray[np.float64]:
    return np.array([[keypoint["x"], keypoint["y"]] for keypoint in keypoints])


@pytest.mark.parametrize("name", CASES)
def test_an_adopted_file_answers_what_is_known(name: str, tmp_path: Path, start_server: StartServer) -> None:
    case = CASES[name]
    file = tmp_path / "end2end.onnx"
    case.write(file)
    case.pipeline(tmp_path)
    bundle, _ = adopt(file, *case.flags)
    instances = served_keypoints(start_server, bundle, boxes=3)
    assert len(instances) == 3
    for keypoints in instances:
        assert [keypoint["name"] for keypoint in keypoints] == ["red", "green", "blue"]
        off = np.abs(places(keypoints) - POINTS).max()
        assert off < 0.05  # measured: 0.004
        assert [keypoint["score"] for keypoint in keypoints] == pytest.approx([case.score] * 3, abs=0.03)


@pytest.mark.parametrize(
    ("name", "flags", "least"),
    [
        ("hrnet", ("--kind", "simplebaseline"), 30.0),  # red and blue change places
        ("simplebaseline", ("--kind", "hrnet"), 30.0),
        ("hrnet", ("--kind", "vitpose"), 0.5),
        ("hrnet", ("--kind", "hrnet", "--padding", "1.0"), 0.5),
        ("hrnet", ("--kind", "hrnet", "--mean", "0,0,0"), 1.0),
        ("hrnet", ("--kind", "hrnet", "--std", "255,255,255"), 1.0),
        ("vitpose", ("--kind", "hrnet"), 0.5),
        ("normalized", (*PLAIN, "--unit", "pixel"), 30.0),
    ],
)
def test_the_wrong_convention_moves_the_keypoints(
    name: str, flags: tuple[str, ...], least: float, tmp_path: Path, start_server: StartServer
) -> None:
    """What the known answers above hold fast: each choice alone is seen."""
    file = tmp_path / "end2end.onnx"
    CASES[name].write(file)
    bundle, _ = adopt(file, *flags)
    (keypoints,) = served_keypoints(start_server, bundle)
    assert np.abs(places(keypoints) - POINTS).max() > least


def test_a_file_of_batch_one_is_run_crop_by_crop(tmp_path: Path, start_server: StartServer) -> None:
    write_heatmaps(tmp_path / "end2end.onnx", Preparation(batch=1))
    bundle, printed = adopt(tmp_path / "end2end.onnx", "--kind", "hrnet")
    manifest = BundleManifest.load(bundle)
    assert manifest.input.batch == "one"
    assert manifest.input.batch_sizes((1, 2, 4)) == (1,)
    assert "read from the graph" in next(line for line in printed.splitlines() if line.startswith("batch"))
    server = start_server(load_model(bundle, "cpu", 1), max_batch=4)
    query = ";".join([",".join(map(str, BOX))] * 5)
    assert server.client.post(f"/v1/keypoints?boxes={query}", content=PICTURE, headers=PNG).status_code == 200
    assert re.search(r'focalpoint_batch_size_bucket\{[^}]*le="1.0"[^}]*\} 5\.0', server.metrics()), server.metrics()
