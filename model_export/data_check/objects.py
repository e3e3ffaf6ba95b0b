"""The objects of a data set: their points, boxes and areas."""

from collections.abc import Iterator, Sequence

import numpy as np

from model_export.data.checked_reading import OUTSIDE_SHARE
from model_export.data.keypoint_sample import KeypointSample
from model_export.data_check.pictures import Pictures
from model_export.data_check.problem import Problem


def points_outside(samples: Sequence[KeypointSample], pictures: Pictures) -> Iterator[Problem]:
    """Visible keypoints off their picture, whose pixels reach from -0.5 to W - 0.5; far off, training refuses them."""
    for sample in samples:
        picture = pictures[sample.read_image]
        if picture.fault is not None:
            continue
        size = np.array([picture.width, picture.height])
        # How far a point lies beyond the nearest edge, 0 within the picture.
        beyond = np.maximum(-0.5 - sample.points_in_image, sample.points_in_image - (size - 0.5)).max(axis=1)
        for keypoint in np.flatnonzero(sample.visible & (beyond > 0)):
            x, y = sample.points_in_image[keypoint]
            yield Problem(
                "point_outside_picture",
                "error" if beyond[keypoint] > OUTSIDE_SHARE * size.max() else "warning",
                sample.origin,
                f"keypoint {keypoint} lies at ({x:g}, {y:g}), the picture is {picture.width} x {picture.height}",
            )


def hidden_points_with_coordinates(samples: Sequence[KeypointSample]) -> Iterator[Problem]:
    """Coordinates of keypoints that are marked as not labelled: forgotten flags, or numbers that mean nothing."""
    for sample in samples:
        stray = ~sample.visible & (sample.points_in_image != 0).any(axis=1)
        if stray.any():
            keypoints = ", ".join(map(str, np.flatnonzero(stray)[:5]))
            yield Problem(
                "hidden_point_with_coordinates",
                "warning",
                sample.origin,
                f"{stray.sum()} keypoints are marked as not labelled, yet have coordinates: {keypoints}",
            )


def same_annotations(samples: Sequence[KeypointSample], pictures: Pictures) -> Iterator[Problem]:
    """Objects annotated twice: the same points on the same pixels, or (a slip of copying) on other ones."""
    first: dict[bytes, KeypointSample] = {}
    for sample in samples:
        points = np.where(sample.visible[:, None], sample.points_in_image, 0.0)
        key = sample.visible.tobytes() + points.tobytes()
        earlier = first.setdefault(key, sample)
        if earlier is sample:
            continue
        here, there = pictures[sample.read_image], pictures[earlier.read_image]
        same_picture = here.digest == there.digest and here.fault is None
        yield Problem(
            "same_annotation",
            "error" if same_picture else "warning",
            sample.origin,
            f"the same points as {earlier.origin}{'' if same_picture else ', on another picture'}",
        )


def missing_boxes_and_areas(samples: Sequence[KeypointSample]) -> Iterator[Problem]:
    """Objects without a box or an area; where no object has any, it is the format that has none."""
    for check, missing, need in (
        ("no_box", [s for s in samples if s.annotated_box is None], "the box is the tightest one around the keypoints"),
        ("no_area", [s for s in samples if not s.area], "OKS needs areas"),
    ):
        if len(missing) == len(samples):
            yield Problem(check, "note", "all objects", need)
        else:
            yield from (Problem(check, "warning", s.origin, f"other objects have one; {need}") for s in missing)


def keypoints_never_seen(samples: Sequence[KeypointSample], names: Sequence[str]) -> Iterator[Problem]:
    """Keypoints that no object has: nothing can be learnt of them."""
    seen = np.any([sample.visible for sample in samples], axis=0)
    for keypoint in np.flatnonzero(~seen).tolist():
        yield Problem("keypoint_never_visible", "warning", f"keypoint {keypoint} ({names[keypoint]})", "in no object")
