"""`focalpoint evaluate` on drawn discs in a COCO file: metrics, box protocols and the files that it writes."""

import contextlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from model_export.box_protocols import detected_boxes, training_boxes
from model_export.data.splits import validation_samples
from model_export.errors import DataError, RunError
from model_export.evaluate import Found, evaluate
from model_export.evaluate_command import Outputs, run_evaluation
from model_export.recipe import DATA_VARIABLE, Recipe, parse_recipe
from service.contract.bundle_manifest import BundleManifest
from service.contract.crop_transform import Box, ImageHW3
from service.contract.skeleton import read_skeleton
from tests.fakes import CENTRES, draw_discs, encode, write_bundle
from tests.model_export.recipes import recipe_values

SIGMAS = [0.1, 0.1, 0.1]
OKS = {"kind": "oks", "area": "annotated", "keypoint_score_above": 0.2, "nms_above": 0.9}
NME = {
    "kind": "nme",
    "thresholds": [0.05, 0.1],
    "normaliser": {"kind": "keypoint_distance", "keypoints": [0, 1], "name": "red to green"},
}
# Pictures 1 to 3 show one labelled object each; 4 shows one that nobody labelled; 5 one within a crowd.
SHIFTS = {1: (0.0, 0.0), 2: (6.0, 4.0), 3: (-12.0, -8.0), 4: (3.0, 3.0), 5: (-5.0, 2.0)}
LABELLED = (1, 2, 3)


def box_of(picture: int) -> list[float]:
    low, high = CENTRES.min(axis=0) - 6, CENTRES.max(axis=0) + 6
    x, y = low + SHIFTS[picture]
    return [float(x), float(y), *(float(side) for side in high - low)]


def annotation(picture: int) -> dict[str, Any]:
    rows = np.column_stack([CENTRES + SHIFTS[picture], [2, 2, 2]])
    crowd = picture not in LABELLED
    return {
        "id": picture,
        "image_id": picture,
        "category_id": 1,
        "keypoints": [0.0] * 9 if crowd else rows.ravel().tolist(),
        "num_keypoints": 0 if crowd else 3,
        "bbox": box_of(picture),
        "area": 3600.0,
        "iscrowd": int(crowd),
    }


def detection(picture: int, score: float, **changes: Any) -> dict[str, Any]:
    return {"image_id": picture, "category_id": 1, "bbox": box_of(picture), "score": score} | changes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for picture, shift in SHIFTS.items():
        (folder / f"{picture}.png").write_bytes(encode(draw_discs(CENTRES + np.array(shift))))
    labels = {
        "images": [{"id": picture, "file_name": f"{picture}.png", "width": 160, "height": 120} for picture in SHIFTS],
        "annotations": [annotation(picture) for picture in (*LABELLED, 5)],
        "categories": [{"id": 1, "name": "person", "keypoints": ["red", "green", "blue"]}],
    }
    (folder / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    return folder


def bundle_with(data: Path, *metrics: dict[str, Any]) -> Path:
    values = recipe_values()
    values["data"] = {"format": "coco", "root": str(data), "train": "labels.json", "validation": "labels.json"}
    values["keypoints"] = {"names": ["red", "green", "blue"], "flip_pairs": [[0, 1]], "oks_sigmas": SIGMAS}
    values["evaluation"] = {"metrics": list(metrics)}
    folder = write_bundle(data / "discs")
    BundleManifest.load(folder).model_copy(update={"training": {"recipe": values}}).save(folder)
    return folder


def recipe_of(bundle: Path) -> Recipe:
    return parse_recipe(BundleManifest.load(bundle).training["recipe"], "a test")


def detections_file(data: Path, *detections: dict[str, Any]) -> str:
    (data / "detections.json").write_text(json.dumps(detections), encoding="utf-8")
    return str(data / "detections.json")


def test_every_figure_says_its_convention_and_the_report_its_boxes(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = (
        NME,
        {"kind": "pck", "thresholds": [0.05], "normaliser": {"kind": "box_root_area"}},
        {"kind": "epe"},
        OKS,
    )
    report = run_evaluation(bundle_with(data, *metrics), outputs=Outputs(json=data / "report.json"))
    written = json.loads((data / "report.json").read_text(encoding="utf-8"))
    assert (report.box_protocol, report.samples) == ("annotated boxes", 3)
    assert report.value("AP") == pytest.approx(1)
    assert report.value("EPE") < 0.5  # measured 0.04
    assert report.value("PCK@0.05") == 1
    assert np.isnan(report.value("APL"))
    printed = capsys.readouterr().out
    assert all(figure.convention in printed for figure in report.figures)
    assert "boxes: annotated boxes; " in printed
    assert "truth: all persons and pictures of the annotation file; 3 counted, 1 left out" in printed
    values = {figure["metric"]: figure["value"] for figure in written["figures"]}
    assert values["NME"] == report.value("NME")
    assert values["APL"] is None
    assert {"NME", "FR@0.05", "AUC@0.1", "PCK@0.05", "EPE", "offset x", "AP", "ARL"} <= values.keys()


def test_boxes_of_a_detector_count_in_every_picture_of_the_split(data: Path) -> None:
    """The best-scored one lies on an object without a label, one in a crowd: precisions 1/2, 2/3, 3/4, so AP 3/4."""
    bundle = bundle_with(data, NME, OKS)
    found = [detection(4, 0.9), *(detection(picture, 0.5) for picture in LABELLED), detection(5, 0.95)]
    path = detections_file(data, *found, detection(1, 1.0, category_id=3), detection(1, 1.0, image_id=77))
    report = run_evaluation(bundle, boxes=path)
    assert report.box_protocol == (
        "detected boxes of detections.json (5 boxes in 5 pictures), 1 boxes in other pictures left aside"
    )
    assert report.value("AP") == pytest.approx(0.75)
    assert "NME" not in {figure.metric for figure in report.figures}
    # A second box on the same object is suppressed; without suppression it would be a false alarm.
    twice = run_evaluation(bundle, boxes=detections_file(data, *found, detection(1, 0.8)))
    assert twice.value("AP") == pytest.approx(0.75)


def test_the_results_file_is_what_pycocotools_measures_the_same(data: Path) -> None:
    bundle = bundle_with(data, OKS)
    boxes = detections_file(data, *(detection(picture, 0.1 * picture) for picture in SHIFTS))
    report = run_evaluation(bundle, boxes=boxes, outputs=Outputs(coco_results=data / "results.json"))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(data / "labels.json"))
        evaluator = COCOeval(truth, truth.loadRes(str(data / "results.json")), "keypoints")
        evaluator.params.kpt_oks_sigmas = np.array(SIGMAS)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    ours = [figure.value for figure in report.figures]
    assert [-1.0 if np.isnan(value) else value for value in ours] == pytest.approx(list(evaluator.stats), abs=1e-9)
    assert 0 < ours[0] < 1


def test_the_distribution_of_errors_is_drawn(data: Path) -> None:
    run_evaluation(bundle_with(data, NME), outputs=Outputs(ced=data / "ced.png"))
    picture = cv2.imread(str(data / "ced.png"))
    assert picture is not None
    assert picture.shape[:2] == (440, 660)
    assert picture.std() > 10


def test_box_protocols_differ_in_boxes_and_name(data: Path) -> None:
    bundle = bundle_with(data, NME)
    around, given = (run_evaluation(bundle, boxes=boxes) for boxes in ("label", "annotated"))
    assert (around.box_protocol, given.box_protocol) == ("boxes around the labels", "annotated boxes")
    assert around.value("NME") != given.value("NME")
    samples = validation_samples(recipe_of(bundle))
    mixed = training_boxes([samples[0], *(replace(sample, annotated_box=None) for sample in samples[1:])])
    assert mixed.protocol == "annotated boxes (1 of 3), else boxes around the labels"
    assert [picture.image_id for picture in mixed.pictures] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("detections", "message"),
    [
        ({}, r"detections\.json: expected a list at the top level"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3], "score": 1.0}], r"detections\.json, \[0\]: bbox: "),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 0, 3], "score": 1.0}], r"\[0\], bbox: .*above zero"),
        ([{"image_id": 1, "bbox": [1, 2, 3, 3], "score": 1.0}], r"\[0\]: missing key category_id"),
        ([detection(4, 1.0, image_id=99)], r"expected boxes of persons .* in pictures of the split, found none"),
    ],
)
def test_detections_that_cannot_be_used_are_named(data: Path, detections: Any, message: str) -> None:
    (data / "detections.json").write_text(json.dumps(detections), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        run_evaluation(bundle_with(data, OKS), boxes=str(data / "detections.json"))


def test_what_does_not_go_together_is_refused_before_any_work(data: Path) -> None:
    with_nme = bundle_with(data, NME)
    file = detections_file(data, detection(1, 1.0))
    for arguments, message in (
        ({"boxes": "mine"}, "expected label, annotated or a file of detections, found 'mine'"),
        ({"boxes": file}, "is measured by OKS, and the recipe's evaluation.metrics has none"),
        ({"boxes": "label", "url": "http://127.0.0.1:1"}, "--boxes does not go with --url"),
        ({"outputs": Outputs(coco_results=data / "r.json")}, "--coco-results rescores by an OKS metric"),
        ({"outputs": Outputs(coco_results=data / "no" / "r.json")}, "--coco-results: there is no folder"),
    ):
        with pytest.raises(RunError, match=message):
            run_evaluation(with_nme, **arguments)
    with pytest.raises(RunError, match="--ced draws the distribution of NME"):
        run_evaluation(bundle_with(data, OKS), outputs=Outputs(ced=data / "ced.png"))
    with pytest.raises(RunError, match="--ced draws the error of each sample"):
        run_evaluation(bundle_with(data, NME, OKS), boxes=file, outputs=Outputs(ced=data / "ced.png"))
    assert not list(data.glob("*.png.partial")) + list(data.glob("r.json")) + list(data.glob("ced.png"))


def test_a_metric_that_the_data_says_nothing_of_is_refused(data: Path) -> None:
    for metric, message in (
        ({"kind": "pckh", "left_out": []}, r"evaluation\.metrics\.0 \(pckh\) cannot be measured"),
        ({"kind": "radial_error", "thresholds_mm": [2], "comparison": "<"}, r"normaliser or spacing that it needs"),
    ):
        with pytest.raises(DataError, match=message):
            run_evaluation(bundle_with(data, metric))
    labels = json.loads((data / "labels.json").read_text(encoding="utf-8"))
    for entry in labels["annotations"]:
        del entry["area"]
    (data / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    with pytest.raises(DataError, match=r"annotations\[0\]: .* annotated areas, this has none"):
        run_evaluation(bundle_with(data, OKS))


PUBLISHED = Path(os.environ.get(DATA_VARIABLE, "/nowhere")) / "formats" / "tests" / "data" / "coco"


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"{DATA_VARIABLE} names no folder that holds formats")
def test_a_published_detectors_boxes_are_taken_as_they_are(tmp_path: Path) -> None:
    """Four pictures of COCO and the boxes that a published detector has for them; the model is told the answers."""
    skeleton = read_skeleton("coco17", tmp_path)
    values = recipe_values()
    values["data"] = {
        "format": "coco",
        "root": str(PUBLISHED),
        "train": "test_coco.json",
        "validation": "test_coco.json",
    }
    values["keypoints"] = {"names": skeleton.names, "flip_pairs": [], "oks_sigmas": skeleton.oks_sigmas}
    values["evaluation"] = {"metrics": [OKS]}
    recipe = parse_recipe(values, "a test")
    samples = validation_samples(recipe)
    boxes = detected_boxes(PUBLISHED / "test_coco_det_AP_H_56.json", recipe, samples)
    pictures = {sample.image_id: sample.read_image() for sample in samples}
    assert boxes.protocol == "detected boxes of test_coco_det_AP_H_56.json (118 boxes in 4 pictures)"

    def nearest(image: ImageHW3, box: Box) -> Found:
        """The labels of that person of the picture whose box is the nearest."""
        there = [sample for sample in samples if np.array_equal(pictures[sample.image_id], image)]
        apart = [np.hypot(*np.subtract(sample.box.centre, box.centre)) for sample in there]
        sample = there[int(np.argmin(apart))]
        return Found(sample.points_in_image, np.where(sample.visible, 0.9, 0.1), 1.5 * box.width * box.height)

    from_detector = evaluate(recipe, samples, boxes, nearest, lambda _: None).report
    from_labels = evaluate(recipe, samples, training_boxes(samples), nearest, lambda _: None).report
    assert from_labels.value("AP") == pytest.approx(1)
    # Every person has a box near by, and of the many boxes at one person suppression leaves one.
    assert from_detector.value("AR") == pytest.approx(1)
    assert from_detector.value("AP") == pytest.approx(1)
    unthinned = parse_recipe(values | {"evaluation": {"metrics": [OKS | {"nms_above": 1.0}]}}, "a test")
    assert evaluate(unthinned, samples, boxes, nearest, lambda _: None).report.value("AP") < 0.99  # measured 0.976
    assert from_detector.figures[0].counted == len(samples)
