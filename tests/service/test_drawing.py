"""Drawing: dots where the keypoints are, coloured by score, and the picture itself untouched."""

import numpy as np

from service.contract.crop_transform import Box
from service.drawing import draw_instances
from service.pipeline import Instance


def test_dots_lie_on_the_keypoints_and_turn_red_as_scores_fall() -> None:
    picture = np.zeros((120, 160, 3), np.uint8)
    points = np.array([[20.0, 30.0], [140.0, 30.0], [80.0, 100.0]])
    instance = Instance(Box(0, 0, 160, 120), points, np.array([1.0, 0.0, 1.0], np.float32))
    drawn = draw_instances(picture, [instance], [(0, 1)])
    assert not picture.any()
    sure, unsure, bone = drawn[30, 20].astype(int), drawn[30, 140].astype(int), drawn[30, 80]
    assert sure[1] > sure[0]
    assert unsure[0] > unsure[1]
    assert bone.any()
    assert not drawn[100, 30].any()


def test_keypoints_outside_the_picture_do_no_harm() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    instance = Instance(Box(0, 0, 1, 1), np.array([[-1e5, 3.0], [5.0, 1e5]]), np.ones(2, np.float32))
    assert draw_instances(picture, [instance], [(0, 1)]).shape == picture.shape
