"""AP and AR against pycocotools, which reads its own files; rescoring and suppression by hand."""

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from model_export.errors import DataError
from model_export.metrics.coco_evaluator import STATISTICS, oks_statistics
from model_export.metrics.coco_results import write_coco_results
from model_export.metrics.coco_truth import truth_of_file, truth_of_samples
from model_export.metrics.measuring import measure
from model_export.metrics.oks import coco_results
from model_export.metrics.oks_nms import ScoredInstance, instance_similarities, rescore, scored_results, suppress
from model_export.metrics.predictions import Instance, LabelledPerson, OksTruth, Predictions
from model_export.metrics.settings import OksSettings
from service.contract.coco_results import WHOLEBODY_PARTS
from service.contract.crop_transform import Box
from tests.model_export.metrics.labelled import labelled

SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
SETTINGS = OksSettings(kind="oks", area="annotated", keypoint_score_above=0.2, nms_above=0.9)


def reference(annotations: Path, results: Path, sigmas: NDArray[np.float64]) -> list[float]:
    """COCO's ten statistics by pycocotools, from the files."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluator = COCOeval(truth, truth.loadRes(str(results)), "keypoints")
        evaluator.params.kpt_oks_sigmas = sigmas
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(value) for value in evaluator.stats]


def as_reference(statistics: dict[str, float]) -> list[float]:
    """Ours in its order, with its -1 where there is nothing to measure."""
    return [-1.0 if np.isnan(value) else value for value in statistics.values()]


def random_annotations(random: np.random.Generator, keypoint_count: int) -> dict[str, Any]:
    """Pictures with several persons each: small and large, crowds, without keypoints, pictures without persons."""
    images = [{"id": int(number)} for number in random.permutation(np.arange(1, 13) * 7)]
    annotations: list[dict[str, Any]] = []
    for image in images[:10]:
        for _ in range(random.integers(0, 6)):
            x, y, width, height = *random.uniform(0, 400, 2), *random.uniform(20, 220, 2)
            points = random.uniform((x, y), (x + width, y + height), (keypoint_count, 2))
            visible = (random.random(keypoint_count) < random.choice([0.0, 0.3, 0.9])) * random.integers(1, 3)
            points = np.where(visible[:, None] > 0, points, 0)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": 1,
                    "bbox": [x, y, width, height],
                    "area": width * height * random.uniform(0.2, 0.7),
                    "iscrowd": int(random.random() < 0.15),
                    "keypoints": np.column_stack([points, visible]).ravel().tolist(),
                    "num_keypoints": int((visible > 0).sum()),
                }
            )
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


def random_instances(random: np.random.Generator, annotations: dict[str, Any], keypoint_count: int) -> list[Instance]:
    """Near the persons, twice at times, and elsewhere; some with equal scores, some keypoints not finite."""
    instances = []
    coarse = random.random() < 0.5
    for person in annotations["annotations"]:
        for _ in range(random.integers(0, 3)):
            labels = np.array(person["keypoints"]).reshape(-1, 3)[:, :2]
            points = labels + random.normal(0, random.choice([1, 5, 20]), labels.shape)
            points[random.random(keypoint_count) < 0.02] = np.nan
            instances.append((person["image_id"], points))
    for image in annotations["images"]:
        for _ in range(random.choice([0, 0, 1, 25])):
            instances.append((image["id"], random.uniform(0, 500, (keypoint_count, 2))))
    return [
        Instance(
            str(image_id),
            points,
            random.random(keypoint_count) if not coarse else np.full(keypoint_count, 0.5),
            float(np.round(random.random(), 1 if coarse else 9)),
            float(random.uniform(500, 40000)),
        )
        for image_id, points in instances
    ]


@pytest.mark.parametrize("seed", range(60))
def test_ap_and_ar_equal_pycocotools(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    count = 17 if seed % 3 else 5
    sigmas = SIGMAS[:count]
    annotations = random_annotations(random, count)
    (tmp_path / "truth.json").write_text(json.dumps(annotations), encoding="utf-8")
    instances = random_instances(random, annotations, count)
    settings = SETTINGS.model_copy(update={"nms_above": float(random.choice([0.5, 0.9, 1.0]))})

    truth = truth_of_file(tmp_path / "truth.json", sigmas)
    predictions = Predictions([], None, instances, truth)
    results = coco_results(predictions, settings)
    if not results:
        return
    write_coco_results(tmp_path / "results.json", results)
    figures = measure([settings], predictions)
    assert tuple(figure.metric for figure in figures) == STATISTICS
    ours = [-1.0 if np.isnan(figure.value) else figure.value for figure in figures]
    # Measured: 0.
    assert ours == pytest.approx(reference(tmp_path / "truth.json", tmp_path / "results.json", sigmas), abs=1e-9)


DATA = Path(os.environ.get("FOCALPOINT_DATA", "/nowhere"))
REAL_FILES = (
    DATA / "coco_mini" / "annotations" / "person_keypoints_val2017.json",
    DATA / "coco_mini" / "annotations" / "person_keypoints_train2017.json",
    DATA / "formats" / "tests" / "data" / "coco" / "test_coco.json",
)


@pytest.mark.parametrize("annotations", REAL_FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("noise_px", [0.0, 4.0, 15.0])
def test_ap_and_ar_equal_pycocotools_on_real_annotations(tmp_path: Path, annotations: Path, noise_px: float) -> None:
    if not annotations.is_file():
        pytest.skip("FOCALPOINT_DATA names no folder that holds coco_mini and formats")
    random = np.random.default_rng(1)
    truth = truth_of_file(annotations, SIGMAS)
    instances = [
        Instance(
            one.image_id,
            one.points_K2 + random.normal(0, noise_px, (17, 2)) if noise_px else one.points_K2,
            random.uniform(0.3, 1, 17),
            1.0,
            2.0 * one.box.width * one.box.height,
        )
        for one in truth.persons
        if one.visible_K.any()
    ]
    figures = measure([SETTINGS], predictions := Predictions([], None, instances, truth))
    write_coco_results(tmp_path / "results.json", coco_results(predictions, SETTINGS))
    ours = [-1.0 if np.isnan(figure.value) else figure.value for figure in figures]
    assert ours == pytest.approx(reference(annotations, tmp_path / "results.json", SIGMAS), abs=1e-9)
    if noise_px == 0:
        assert figures[0].value > 0.9  # measured 0.95 and more: suppression drops a few of persons that overlap


def test_the_labels_of_a_whole_body_file_are_a_perfect_answer() -> None:
    path = DATA / "formats" / "tests" / "data" / "coco" / "test_coco_wholebody.json"
    if not path.is_file():
        pytest.skip("FOCALPOINT_DATA names no folder that holds formats")
    truth = truth_of_file(path, np.full(133, 0.05))
    # What is not labelled is answered somewhere on the person: it matches an ignored part, and is no false alarm.
    answers = [np.where(one.visible_K[:, None], one.points_K2, one.box.centre) for one in truth.persons]
    instances = [
        Instance(one.image_id, answer, np.ones(133), 1.0, 9e4)
        for one, answer in zip(truth.persons, answers, strict=True)
    ]
    settings = SETTINGS.model_copy(update={"kind": "oks_wholebody", "nms_above": 1.0})
    figures = measure([settings], Predictions([], None, instances, truth))
    assert [figure.metric for figure in figures[::2]] == [f"{part} AP" for part in WHOLEBODY_PARTS]
    average_precision, average_recall = ([figure.value for figure in figures[first::2]] for first in (0, 1))
    assert average_recall == pytest.approx([1.0] * 6)
    # Measured: 0.90 for each hand; one person's unlabelled hand is answered near another's labelled one.
    assert min(average_precision) > 0.89
    assert average_precision[-1] == pytest.approx(1.0)
    assert len({figure.counted for figure in figures}) > 3  # each part has its own persons


def test_the_random_cases_hold_what_they_should() -> None:
    """Crowds, persons without keypoints, several persons in a picture, and scores that are neither 0 nor 1."""
    kinds = {"crowd": 0, "blind": 0, "partly": 0, "crowded pictures": 0}
    for seed in range(60):
        persons = random_annotations(np.random.default_rng(seed), 17)["annotations"]
        kinds["crowd"] += sum(person["iscrowd"] for person in persons)
        kinds["blind"] += sum(person["num_keypoints"] == 0 for person in persons)
        kinds["partly"] += sum(0 < person["num_keypoints"] < 17 for person in persons)
        images = [person["image_id"] for person in persons]
        kinds["crowded pictures"] += max((images.count(image) for image in images), default=0) > 2
    assert min(kinds.values()) > 50, kinds


def test_samples_are_as_good_as_a_file_where_there_are_no_others(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    annotations = random_annotations(random, 17)
    annotations["annotations"] = [
        person for person in annotations["annotations"] if person["num_keypoints"] and not person["iscrowd"]
    ]
    with_persons = {person["image_id"] for person in annotations["annotations"]}
    annotations["images"] = [image for image in annotations["images"] if image["id"] in with_persons]
    (tmp_path / "truth.json").write_text(json.dumps(annotations), encoding="utf-8")
    rows = [np.array(person["keypoints"]).reshape(-1, 3) for person in annotations["annotations"]]
    samples = [
        labelled(
            points[:, :2],
            points[:, 2] > 0,
            area=person["area"],
            annotated_box=Box(*person["bbox"]),
            image_id=str(person["image_id"]),
        )
        for points, person in zip(rows, annotations["annotations"], strict=True)
    ]
    instances = random_instances(random, annotations, 17)
    from_file, from_samples = (
        measure([SETTINGS], Predictions([], None, instances, truth))
        for truth in (truth_of_file(tmp_path / "truth.json", SIGMAS), truth_of_samples(samples, SIGMAS))
    )
    assert [figure.value for figure in from_file] == [figure.value for figure in from_samples]
    assert "the samples alone" in from_samples[0].convention
    assert 0 < from_file[0].value < 1


def person(points_K2: Any, **known: Any) -> LabelledPerson:
    points = np.array(points_K2, dtype=np.float64)
    fields = {"visible_K": np.ones(len(points), dtype=bool), "area": 4000.0, "crowd": False, "origin": "a test"}
    return LabelledPerson("1", points, box=Box(0, 0, 80, 80), **{**fields, **known})


def test_a_perfect_answer_has_ap_one_and_sizes_that_are_not_there_have_none() -> None:
    points = np.arange(34.0).reshape(17, 2)
    truth = OksTruth([person(points)], frozenset({"1", "2"}), SIGMAS, "by hand")
    result = ScoredInstance("1", points, np.ones(17), 0.9, 4000.0)
    statistics = oks_statistics(truth, [4000.0], [result], slice(None))
    assert [statistics[name] for name in ("AP", "AP50", "APM", "AR")] == pytest.approx([1, 1, 1, 1])
    assert np.isnan([statistics["APL"], statistics["ARL"]]).all()
    assert oks_statistics(truth, [4000.0], [], slice(None))["AP"] == 0
    nobody = OksTruth([person(points, crowd=True)], frozenset({"1"}), SIGMAS, "by hand")
    assert all(np.isnan(value) for value in oks_statistics(nobody, [4000.0], [result], slice(None)).values())


def test_each_part_of_a_whole_body_is_measured_on_its_own(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    sigmas = random.uniform(0.02, 0.1, 133)
    annotations = random_annotations(random, 133)
    for annotation in annotations["annotations"]:
        visible = np.array(annotation["keypoints"]).reshape(-1, 3)
        visible[list(range(*WHOLEBODY_PARTS["face"].indices(133)))[:: random.integers(1, 2)], 2] *= random.integers(
            0, 2
        )
        annotation["keypoints"] = visible.ravel().tolist()
    (tmp_path / "truth.json").write_text(json.dumps(annotations), encoding="utf-8")
    predictions = Predictions(
        [], None, random_instances(random, annotations, 133), truth_of_file(tmp_path / "truth.json", sigmas)
    )
    settings = SETTINGS.model_copy(update={"kind": "oks_wholebody"})
    figures = {figure.metric: figure for figure in measure([settings], predictions)}
    results = coco_results(predictions, settings)
    for part, keypoints in WHOLEBODY_PARTS.items():
        of_part = {**annotations, "annotations": [part_of(person, keypoints) for person in annotations["annotations"]]}
        (tmp_path / "part.json").write_text(json.dumps(of_part), encoding="utf-8")
        write_coco_results(
            tmp_path / "results.json",
            [r._replace(points_K2=r.points_K2[keypoints], scores_K=r.scores_K[keypoints]) for r in results],
        )
        if part == "whole":  # its file has COCO-WholeBody's lists
            merged = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
            lists = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
            merged = [{**entry, "keypoints": [v for key in lists for v in entry[key]]} for entry in merged]
            (tmp_path / "results.json").write_text(json.dumps(merged), encoding="utf-8")
        expected = dict(
            zip(
                STATISTICS, reference(tmp_path / "part.json", tmp_path / "results.json", sigmas[keypoints]), strict=True
            )
        )
        for name in ("AP", "AR"):
            assert figures[f"{part} {name}"].value == pytest.approx(expected[name], abs=1e-9), part
    assert figures["face AP"].counted < figures["whole AP"].counted


def part_of(person: dict[str, Any], keypoints: slice) -> dict[str, Any]:
    rows = np.array(person["keypoints"]).reshape(-1, 3)[keypoints]
    return {**person, "keypoints": rows.ravel().tolist(), "num_keypoints": int((rows[:, 2] > 0).sum())}


def instance(points_K2: Any, scores_K: Any, box_score: float = 1.0, area: float = 100.0) -> Instance:
    return Instance("1", np.array(points_K2, dtype=np.float64), np.array(scores_K), box_score, area)


def test_the_score_is_the_boxs_times_the_mean_of_what_is_above_the_threshold() -> None:
    points = [[0, 0], [1, 1], [2, 2]]
    assert rescore(instance(points, [0.2, 0.4, 0.8], 0.5), 0.2).score == pytest.approx(0.3)
    assert rescore(instance(points, [0.2, 0.1, 0.0], 0.5), 0.2).score == 0
    broken = rescore(instance([[np.nan, 5], [1, 1], [2, np.inf]], [0.9, 0.4, 0.9], 0.5), 0.2)
    assert broken.score == pytest.approx(0.2)
    assert broken.points_K2.tolist() == [[0, 0], [1, 1], [0, 0]]
    assert broken.scores_K.tolist() == [0, 0.4, 0]


def test_similarity_takes_the_mean_of_both_areas() -> None:
    sigmas = np.array([0.5, 0.25])
    found = instance_similarities(
        np.zeros((2, 2)),
        100.0,
        np.array([[[3.0, 4.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]),
        np.array([300, 1]),
        sigmas,
    )
    assert found == pytest.approx([(np.exp(-25 / (2 * 200 * 1)) + 1) / 2, 1])


def test_of_similar_instances_the_best_stays() -> None:
    sigmas = np.array([0.1])
    near = [instance([[x, 0.0]], [score]) for x, score in ((0.0, 0.5), (0.1, 0.9), (50.0, 0.3), (0.2, 0.7))]
    kept = suppress([rescore(one, 0.2) for one in near], sigmas, 0.9)
    assert [(one.points_K2[0, 0], one.score) for one in kept] == [(0.1, 0.9), (50.0, 0.3)]
    assert len(suppress([rescore(one, 0.2) for one in near], sigmas, 1.0)) == 4
    elsewhere = [near[0], near[1]._replace(image_id="2")]
    assert len(scored_results(elsewhere, sigmas, 0.2, 0.9)) == 2


def test_a_person_without_an_area_is_named() -> None:
    truth = truth_of_samples([labelled(np.zeros((17, 2)))], SIGMAS)
    predictions = Predictions([], None, [], truth)
    with pytest.raises(DataError, match=r"a test: .*annotated areas"):
        measure([SETTINGS], predictions)
    figures = measure([SETTINGS.model_copy(update={"area": "box_times_0.53"})], predictions)
    assert figures[0].value == 0
    assert "area 0.53 x box" in figures[0].convention


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected a list under the key 'images'"),
        ('{"images": [{"id": 1}], "annotations": [7]}', r"annotations\[0\]: expected an object"),
        (
            '{"images": [{"id": 1}], "annotations": [{"image_id": 2, "bbox": [0, 0, 1, 1]}]}',
            "image_id '2' stands in no",
        ),
        ('{"images": [{"id": 1}], "annotations": [{"image_id": 1}]}', r"annotations\[0\]: missing key bbox"),
        (
            '{"images": [{"id": 1}], "annotations": [{"image_id": 1, "bbox": [0, 0, 1, 1], "keypoints": [1, 2, 2]}]}',
            "expected 17 keypoints of x, y, v, found 3 numbers",
        ),
    ],
)
def test_a_file_that_cannot_be_compared_with_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "truth.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=rf"truth\.json.*{message}"):
        truth_of_file(tmp_path / "truth.json", SIGMAS)
