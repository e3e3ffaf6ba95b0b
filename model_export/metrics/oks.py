"""AP and AR over object keypoint similarity, of all keypoints or of COCO-WholeBody's parts."""

from model_export.errors import DataError
from model_export.metrics.coco_evaluator import counted_persons, oks_statistics
from model_export.metrics.figures import Figure
from model_export.metrics.oks_nms import ScoredInstance, scored_results
from model_export.metrics.predictions import OksTruth, Predictions
from model_export.metrics.settings import OksSettings
from service.contract.coco_results import WHOLEBODY_PARTS

_BOX_AREA_SHARE = 0.53  # a person's share of its box: that of xtcocotools, for data sets without areas


def person_areas(truth: OksTruth, settings: OksSettings) -> list[float]:
    """The area of each person in square pixels.

    Raises:
        DataError: a person has none, and `area` is `annotated`.
    """
    if settings.area == "box_times_0.53":
        return [_BOX_AREA_SHARE * person.box.width * person.box.height for person in truth.persons]
    areas = []
    for person in truth.persons:
        if person.area is None:
            raise DataError(
                f"{person.origin}: evaluation.metrics takes OKS with annotated areas, this has none; "
                f'area = "box_times_0.53" does without'
            )
        areas.append(person.area)
    return areas


def coco_results(predictions: Predictions, settings: OksSettings) -> list[ScoredInstance]:
    """The instances as they go to COCO's evaluator: rescored, and thinned by OKS."""
    assert predictions.truth is not None
    sigmas = predictions.truth.sigmas_K
    return scored_results(predictions.instances, sigmas, settings.keypoint_score_above, settings.nms_above)


def oks(predictions: Predictions, settings: OksSettings) -> tuple[Figure, ...]:
    """COCO's ten statistics over all keypoints."""
    assert predictions.truth is not None
    everything = slice(None)
    areas = person_areas(predictions.truth, settings)
    statistics = oks_statistics(predictions.truth, areas, coco_results(predictions, settings), everything)
    counts = counted_persons(predictions.truth, everything)
    convention = _convention(predictions, settings)
    return tuple(Figure(name, value, "share", convention, *counts) for name, value in statistics.items())


def oks_wholebody(predictions: Predictions, settings: OksSettings) -> tuple[Figure, ...]:
    """AP and AR of the five parts and of the whole; an instance has one score for all parts, as mmpose's."""
    truth = predictions.truth
    assert truth is not None
    areas, results = person_areas(truth, settings), coco_results(predictions, settings)
    convention = f"{_convention(predictions, settings)}; one score for all parts"
    figures = []
    for part, keypoints in WHOLEBODY_PARTS.items():
        statistics = oks_statistics(truth, areas, results, keypoints)
        counts = counted_persons(truth, keypoints)
        figures += [Figure(f"{part} {name}", statistics[name], "share", convention, *counts) for name in ("AP", "AR")]
    return tuple(figures)


def _convention(predictions: Predictions, settings: OksSettings) -> str:
    assert predictions.truth is not None
    area = "annotated area" if settings.area == "annotated" else "area 0.53 x box"
    nms = f"OKS-NMS above {settings.nms_above:g}" if settings.nms_above < 1 else "no NMS"
    return (
        f"OKS with the recipe's sigmas and {area}; score = box score x mean of keypoint scores above "
        f"{settings.keypoint_score_above:g}; {nms}; {predictions.truth.source}"
    )
