"""The second shipped bundle: as accurate as its manifest says, free for anyone, and small."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model_export.evaluate_command import run_evaluation
from model_export.recipe import DATA_VARIABLE
from service.contract.bundle_manifest import BundleManifest
from service.contract.golden_images import GOLDEN_FOLDER, load_golden_images
from service.model_loading import load_model
from tests.service.conftest import RunningServer, running_server

BUNDLE = Path(__file__).parents[2] / "models" / "mouse17"

needs_the_mouse = pytest.mark.skipif(
    not (Path(os.environ.get(DATA_VARIABLE, "/nowhere")) / "mirror_mouse").is_dir(),
    reason=f"{DATA_VARIABLE} names no folder that holds mirror_mouse",
)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(load_model(BUNDLE, "cpu", intra_op_threads=2)) as running:
        yield running


def test_anyone_may_use_it_and_it_is_under_three_megabytes() -> None:
    assert sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file()) < 3_000_000
    manifest = BundleManifest.load(BUNDLE)
    assert not manifest.licence.research_only
    assert "MIT License" in (BUNDLE / "LICENSE").read_text(encoding="utf-8")
    assert manifest.training["adversarial_focal_loss"] is True


def test_a_frame_without_a_box_is_found_as_with_one(server: RunningServer) -> None:
    (golden,) = load_golden_images(BUNDLE)
    frame = (BUNDLE / GOLDEN_FOLDER / golden.image).read_bytes()
    answer = server.client.post("/v1/keypoints", content=frame, headers={"Content-Type": "image/png"}).json()
    (instance,) = answer["instances"]
    found = np.array([[keypoint["x"], keypoint["y"]] for keypoint in instance["keypoints"]])
    off = np.linalg.norm(found - np.array(golden.points_in_image), axis=1)
    # Measured: median 0.6 px, at most 1.9 px.
    assert np.median(off) < 3


@needs_the_mouse
def test_accuracy_with_boxes_around_the_labels() -> None:
    report = run_evaluation(BUNDLE)
    # Measured: 4.45 px and 86.97 %.
    assert report.value("EPE") < 4.6
    assert report.value("PCK@0.02") > 0.85
    recorded = {figure.metric: figure.value for figure in BundleManifest.load(BUNDLE).accuracy}
    assert recorded["EPE"] == pytest.approx(report.value("EPE"), abs=0.01)


@needs_the_mouse
def test_accuracy_over_http_without_boxes(server: RunningServer) -> None:
    # Measured: 4.51 px.
    assert run_evaluation(BUNDLE, server.url).value("EPE") < 4.7
