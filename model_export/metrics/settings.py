"""The recipe's `[evaluation]`: which metrics, each with its convention. The functions are in `measuring.METRICS`."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from model_export.recipe_section import Positive, Section, Share

Index = Annotated[int, Field(ge=0)]
Indices = Annotated[tuple[Index, ...], Field(min_length=1)]


def _rising(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(first >= second for first, second in pairwise(values)):
        raise ValueError("expected rising numbers")
    return values


def _different(pair: tuple[int, int]) -> tuple[int, int]:
    if pair[0] == pair[1]:
        raise ValueError("expected two different keypoints, whose distance is a length")
    return pair


Thresholds = Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(_rising)]


class KeypointDistance(Section):
    """Distance of two labelled keypoints: inter-ocular for 300-W is (36, 45), a torso a shoulder and a hip."""

    kind: Literal["keypoint_distance"]
    keypoints: Annotated[tuple[Index, Index], AfterValidator(_different)]
    name: str


class GroupDistance(Section):
    """Distance of the means of two groups of labelled keypoints: inter-pupil for 300-W is 36 to 41 and 42 to 47."""

    kind: Literal["group_distance"]
    first: Indices
    second: Indices
    name: str


class SampleLength(Section):
    """A length that the sample has itself, in image pixels.

    `box_root_area` is sqrt(width x height) and `box_longer_side` max(width, height) of the sample's box: the annotated
    one, else the tightest around its labels. `head_size` (MPII) and `box_size` (AFLW) stand in the annotations.
    """

    kind: Literal["box_root_area", "box_longer_side", "head_size", "box_size"]


Normaliser = Annotated[KeypointDistance | GroupDistance | SampleLength, Field(discriminator="kind")]


class NmeSettings(Section):
    """NME, and FR@t and AUC@t of its cumulative error distribution for each of the `thresholds` (shares)."""

    kind: Literal["nme"]
    normaliser: Normaliser
    thresholds: Thresholds


class PckSettings(Section):
    """PCK@t for each of the `thresholds` (shares of the normaliser)."""

    kind: Literal["pck"]
    normaliser: Normaliser
    thresholds: Thresholds


class PckhSettings(Section):
    """MPII's PCKh@0.5 and both readings of PCKh@0.1, without the joints `left_out` (MPII: pelvis and thorax, 6 and 7).

    Each of the `columns` is the mean of its joints' PCKh@0.5, as the columns Head, Shoulder ... of MPII's tables.
    """

    kind: Literal["pckh"]
    left_out: tuple[Index, ...]
    columns: dict[str, Indices] = Field(default_factory=dict)


class EpeSettings(Section):
    """End-point error in image pixels, and the mean offset from the labels."""

    kind: Literal["epe"]


class RadialErrorSettings(Section):
    """MRE in mm and SDR@z for each of `thresholds_mm`; `comparison` says whether an error of just z is a success."""

    kind: Literal["radial_error"]
    thresholds_mm: Thresholds
    comparison: Literal["<", "<="]


class OksSettings(Section):
    """COCO's AP and AR over object keypoint similarity.

    Attributes:
        area: of a person: `annotated`, or `box_times_0.53` where the annotations have none (CrowdPose, AI Challenger).
        keypoint_score_above: an instance's score is its box's score times the mean of the keypoint scores above this.
        nms_above: an instance whose OKS with a better one is above this is dropped; 1 drops none.
    """

    kind: Literal["oks", "oks_wholebody"]
    area: Literal["annotated", "box_times_0.53"]
    keypoint_score_above: Share
    nms_above: Share


MetricSettings = NmeSettings | PckSettings | PckhSettings | EpeSettings | RadialErrorSettings | OksSettings


class Evaluation(Section):
    """The metrics, in the order in which they are reported; the first is followed while training."""

    metrics: tuple[Annotated[MetricSettings, Field(discriminator="kind")], ...] = Field(min_length=1)

    @property
    def needs_sigmas(self) -> bool:
        """Whether a metric needs `keypoints.oks_sigmas`."""
        return any(isinstance(metric, OksSettings) for metric in self.metrics)

    def keypoints_named(self) -> Iterator[tuple[str, int]]:
        """Each keypoint index that a metric names, with the key that names it."""
        for place, metric in enumerate(self.metrics):
            for key, indices in _indices(metric).items():
                yield from ((f"evaluation.metrics.{place}.{key}", index) for index in indices)


def _indices(metric: MetricSettings) -> dict[str, tuple[int, ...]]:
    match metric:
        case (
            NmeSettings(normaliser=KeypointDistance(keypoints=pair))
            | PckSettings(normaliser=KeypointDistance(keypoints=pair))
        ):
            return {"normaliser.keypoints": pair}
        case NmeSettings(normaliser=GroupDistance() as groups) | PckSettings(normaliser=GroupDistance() as groups):
            return {"normaliser.first": groups.first, "normaliser.second": groups.second}
        case PckhSettings():
            return {"left_out": metric.left_out} | {
                f"columns.{name}": joints for name, joints in metric.columns.items()
            }
    return {}


# Where pydantic says which member of a union a problem lies in, but the recipe has no such key.
UNION_TAGS = (
    *("nme", "pck", "pckh", "epe", "radial_error", "oks", "oks_wholebody"),
    *("keypoint_distance", "group_distance", "box_root_area", "box_longer_side", "head_size", "box_size"),
)
