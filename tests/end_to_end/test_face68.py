"""The shipped bundle: as accurate as its card says, the same in torch, and small."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from benchmark_pictures import portraits
from numpy.typing import NDArray
from torch import nn

from model_export.data.keypoint_sample import ImageFile
from model_export.data.synthetic import draw_samples
from model_export.evaluate_command import run_evaluation
from model_export.export_network import DecodedNetwork, check_parity
from model_export.recipe import DATA_VARIABLE, parse_recipe
from model_export.trainer import build_recipe_network
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.crop_transform import Box
from service.contract.golden_images import GOLDEN_FOLDER, load_golden_images
from service.image_decoding import check_header
from service.model_loading import load_model
from service.reduced_decoding import possible_reduction
from tests.service.conftest import RunningServer, running_server

BUNDLE = Path(__file__).parents[2] / "models" / "face68"
JPEG = {"Content-Type": "image/jpeg"}

needs_labelled_faces = pytest.mark.skipif(
    not (Path(os.environ.get(DATA_VARIABLE, "/nowhere")) / "ytf68").is_dir(),
    reason=f"{DATA_VARIABLE} names no folder that holds ytf68",
)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(load_model(BUNDLE, "cpu", intra_op_threads=2)) as running:
        yield running


@needs_labelled_faces
def test_accuracy_with_boxes_around_the_labels() -> None:
    report = run_evaluation(BUNDLE)
    # Measured: 3.91 % and 0.48 %.
    assert report.value("NME") < 0.0400
    assert report.value("FR@0.1") < 0.01
    recorded = {figure.metric: figure for figure in BundleManifest.load(BUNDLE).accuracy}
    assert recorded["NME"].value == pytest.approx(report.value("NME"), abs=1e-4)
    conventions = {figure.metric: figure.convention for figure in report.figures}
    assert {metric: figure.convention for metric, figure in recorded.items()}.items() <= conventions.items()


@needs_labelled_faces
def test_accuracy_over_http_without_boxes(server: RunningServer) -> None:
    # Measured: 3.94 %.
    assert run_evaluation(BUNDLE, server.url).value("NME") < 0.0405


def test_a_photograph_decoded_at_half_its_size_has_its_points_where_they_were(server: RunningServer) -> None:
    (picture,) = portraits([(4000, 3000)], with_box=True)
    box = Box(*picture.boxes[0])
    transform = BundleManifest.load(BUNDLE).crop_transform(box)
    assert possible_reduction(check_header(picture.data, 10**8), [transform]) == 2

    def points(running: RunningServer) -> NDArray[np.float64]:
        query = {"boxes": f"{box.x},{box.y},{box.width},{box.height}", "format": "compact"}
        answer = running.client.post("/v1/keypoints", content=picture.data, params=query, headers=JPEG)
        return np.reshape(answer.json()["keypoints"], (-1, 3))[:, :2]

    with running_server(load_model(BUNDLE, "cpu", intra_op_threads=2), reduced_decoding=False) as full_size:
        moved = (points(server) - points(full_size)) * transform.scale
    assert np.linalg.norm(moved, axis=1).max() < 0.5  # crop pixels; measured: 0.16


def test_it_is_under_four_megabytes_and_says_what_it_may_be_used_for() -> None:
    assert sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file()) < 4_000_000
    manifest = BundleManifest.load(BUNDLE)
    assert manifest.licence.research_only
    assert manifest.training["adversarial_focal_loss"] is True
    for text in ((BUNDLE / "MODEL_CARD.md"), (BUNDLE / "LICENSE")):
        assert "research use" in text.read_text(encoding="utf-8").lower()


def network_of_graph(manifest: BundleManifest) -> nn.Module:
    """The torch network with the graph's weights: the exporter has folded each batch norm into its convolution."""
    graph = onnx.load(BUNDLE / MODEL_FILE).graph
    values = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    biases = {node.input[1]: values[node.input[2]] for node in graph.node if node.op_type == "Conv"}
    network = build_recipe_network(parse_recipe(manifest.training["recipe"], "the bundle"))
    modules = dict(network.named_modules())
    for name, module in modules.items():
        if not isinstance(module, nn.Conv2d):
            continue
        weight = f"network.{name}.weight"
        module.weight.data = values[weight]
        if module.bias is not None:
            module.bias.data = biases[weight]
            continue
        parent, index = name.rsplit(".", 1)
        norm = modules[f"{parent}.{int(index) + 1}"]
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        norm.running_var.fill_(1 - norm.eps)  # so that it adds its bias and nothing else
        norm.bias.data = biases[weight]
    return network.eval()


def test_torch_and_onnxruntime_agree_on_portrait_and_drawings() -> None:
    manifest = BundleManifest.load(BUNDLE)
    (golden,) = load_golden_images(BUNDLE)
    portrait = ImageFile(BUNDLE / GOLDEN_FOLDER / golden.image)()
    crops = [
        manifest.crop_transform(Box(*golden.box)).extract(portrait),
        manifest.whole_image_transform(portrait).extract(portrait),
    ]
    crops += [manifest.crop_transform(sample.box).extract(sample.read_image()) for sample in draw_samples(14, seed=5)]
    decoded = DecodedNetwork(network_of_graph(manifest), manifest.codec)
    parity = check_parity(decoded, BUNDLE / MODEL_FILE, np.stack(crops))  # refuses more than 1e-4 and 0.02 px
    # Measured: heatmaps 5e-6, keypoints 2e-4 px, no ties.
    assert parity.tie_share == 0


def test_a_portrait_without_a_box_is_found_as_with_one(server: RunningServer) -> None:
    (golden,) = load_golden_images(BUNDLE)
    answer = server.client.post(
        "/v1/keypoints",
        content=(BUNDLE / GOLDEN_FOLDER / golden.image).read_bytes(),
        headers={"Content-Type": "image/jpeg"},
    ).json()
    (instance,) = answer["instances"]
    found = np.array([[keypoint["x"], keypoint["y"]] for keypoint in instance["keypoints"]])
    off = np.linalg.norm(found - np.array(golden.points_in_image), axis=1)
    # Measured: mean 0.57 px for a face 100 px wide, score 0.82.
    assert off.mean() < 1.5
    assert instance["score"] > 0.7
