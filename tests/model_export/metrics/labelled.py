"""Labelled samples without pictures, and predictions for them, made by hand or drawn by hypothesis."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from service.contract.crop_transform import Box, ImageHW3

COUNT = 4


def no_picture() -> ImageHW3:
    """Metrics never look at a picture."""
    raise AssertionError("a metric has read a picture")


def labelled(points_K2: Any, visible_K: Any = None, **known: Any) -> KeypointSample:
    """A sample with these labels; what it `known`s besides are fields of KeypointSample."""
    points = np.array(points_K2, dtype=np.float64)
    visible = np.ones(len(points), dtype=bool) if visible_K is None else np.array(visible_K, dtype=bool)
    return KeypointSample(no_picture, points, visible, "a test", **known)


def shifted(samples: list[KeypointSample], *offsets: tuple[float, float]) -> NDArray[np.float64]:
    """Predictions (S, K, 2): every keypoint of sample s lies off its label by `offsets[s]`."""
    return np.stack([s.points_in_image + np.array(offset) for s, offset in zip(samples, offsets, strict=True)])


@st.composite
def evaluated_sets(draw: st.DrawFn) -> tuple[list[KeypointSample], NDArray[np.float64]]:
    """Up to eight samples with labels, some missing, all that a normaliser can be, and predictions, some not finite."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    samples = []
    for number in range(draw(st.integers(1, 8))):
        points = random.uniform(0, 100, (COUNT, 2))
        samples.append(
            labelled(
                points,
                random.random(COUNT) < 0.8,
                annotated_box=Box(0, 0, *random.uniform(20, 200, 2)),
                area=float(random.uniform(500, 20000)),
                head_size=float(random.uniform(5, 30)) if random.random() < 0.8 else None,
                box_size=float(random.uniform(50, 90)),
                mm_per_pixel=float(random.uniform(0.05, 0.4)) if random.random() < 0.8 else None,
                image_id=str(number // 2),
            )
        )
    found = np.stack([s.points_in_image for s in samples]) + random.normal(0, 6, (len(samples), COUNT, 2))
    if draw(st.booleans()):
        found[random.random((len(samples), COUNT)) < 0.05] = np.nan
    return samples, found
