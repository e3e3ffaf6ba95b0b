"""Skeletons: the shipped ones are complete and symmetric, one of your own is a TOML file."""

import re
from pathlib import Path

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from service.contract.skeleton import SkeletonError, read_skeleton, shipped_skeletons

NOWHERE = Path("/nowhere")
# Names that say their side: everything but the points of a contour, counted from the picture's left.
SIDE = re.compile(r"left|right|[LR](?=H_|F_|\d|$)|(?<=paw\d)[LR](?=[HF])")
OTHER_SIDE = {"left": "right", "right": "left", "L": "R", "R": "L"}


@pytest.mark.parametrize("name", shipped_skeletons())
def test_a_shipped_skeleton_has_the_keypoints_that_its_name_says(name: str) -> None:
    keypoints = read_skeleton(name, NOWHERE)
    assert name.endswith(str(len(keypoints.names)))
    joined = {index for edge in keypoints.skeleton for index in edge}
    assert len(joined) > len(keypoints.names) / 2  # lines that show something
    assert all(first != second for first, second in keypoints.skeleton)


@pytest.mark.parametrize("name", ["coco17", "mpii16", "lsp14", "cofw29", "bee32", "fly32"])
def test_a_left_keypoint_changes_places_with_the_right_one_of_its_name(name: str) -> None:
    keypoints = read_skeleton(name, NOWHERE)
    place = {keypoint: index for index, keypoint in enumerate(keypoints.names)}
    by_name = {
        tuple(sorted((index, place[SIDE.sub(lambda found: OTHER_SIDE[found[0]], keypoint)])))
        for keypoint, index in place.items()
        if SIDE.search(keypoint)
    }
    assert {tuple(sorted(pair)) for pair in keypoints.flip_pairs} == by_name


def test_edges_of_a_symmetric_body_are_symmetric() -> None:
    for name in ("coco17", "coco_wholebody133", "mpii16", "lsp14", "cofw29", "wflw98", "face68", "bee32", "fly32"):
        keypoints = read_skeleton(name, NOWHERE)
        mirror = {index: index for index in range(len(keypoints.names))}
        mirror |= {first: second for pair in keypoints.flip_pairs for first, second in (pair, pair[::-1])}
        edges = {frozenset(edge) for edge in keypoints.skeleton}
        assert {frozenset(mirror[index] for index in edge) for edge in edges} == edges, name


def test_sigmas_of_coco_are_those_of_its_evaluator() -> None:
    sigmas = read_skeleton("coco17", NOWHERE).oks_sigmas
    assert sigmas is not None
    np.testing.assert_allclose(sigmas, Params(iouType="keypoints").kpt_oks_sigmas, atol=1e-12)  # measured: 0
    whole_body = read_skeleton("coco_wholebody133", NOWHERE).oks_sigmas
    assert whole_body is not None
    assert whole_body[:17] == sigmas
    assert whole_body[17:23] == (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('names = ["a", "a"]', "keypoint names must differ"),
        ('names = ["a", "b"]\nedges = [["a", "z"]]', "edges and flip_pairs name 'z', which is no keypoint"),
        ('names = ["a", "b"]\nflip_pairs = [["a", 2]]', "edges and flip_pairs name 2, which is no keypoint"),
        ('names = ["a", "b"]\nflip_pairs = [["a", "b"], ["b", "a"]]', "a keypoint stands in two flip pairs"),
        ('names = ["a", "b"]\nsigmas = [0.1]', "1 OKS sigmas for 2 keypoints"),
        ('names = ["a", "b"]\nsigmas = [0.1, 0]', "sigmas.1: Input should be greater than 0"),
        ('names = ["a"]\nlines = []', "unknown key lines"),
        ("names = [", "is not valid TOML"),
    ],
)
def test_a_skeleton_that_does_not_fit_is_refused_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SkeletonError, match=rf"own\.toml.*{message}"):
        read_skeleton("own.toml", tmp_path)


def test_a_skeleton_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(SkeletonError, match=r"skeleton 'coco': there is no file .* shipped ones are bee32, .*coco17"):
        read_skeleton("coco", NOWHERE)
