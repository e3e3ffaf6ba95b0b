"""Flip pairs against names and against the points: wrong ones teach a network wrong answers for mirrored pictures.

In an object, the lines from the left to the right keypoint of each pair point roughly the same way, across the body,
however the object is turned. A pair whose line points the other way in most objects has its sides exchanged.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from model_export.data_check.problem import Problem
from service.contract.bundle_manifest import Keypoints

_FEWEST_OBJECTS = 10
_FEWEST_PAIRS = 3
_EXCHANGED_SHARE = 0.8  # sound pairs of the sets at hand disagree with the others in at most 0.24 of the objects
# left, Right, and the L and R of eyeL, forelegR1, paw1LH_top, L_wrist.
_SIDE = re.compile(r"(?i:left|right)|(?<=[a-z0-9_])[LR](?=[A-Z0-9_]|$)|^[LR](?=_)")
_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}


def pairs_against_names(keypoints: Keypoints) -> Iterator[Problem]:
    """Keypoints called left or right whose partner is none of that name on the other side.

    Numbers within a name are not compared: an eyebrow may be counted from the outside on one side and from the inside
    on the other. No pairs at all are a choice, for pictures that are not to be mirrored: one warning.
    """
    problems = list(_without_partner(keypoints))
    if problems and not keypoints.flip_pairs:
        detail = (
            f"{len(problems)} are called left or right and there are no flip pairs: mirror no picture (flip_share 0)"
        )
        yield Problem("flip_pair_name", "warning", "keypoints", detail)
    else:
        yield from problems


def _without_partner(keypoints: Keypoints) -> Iterator[Problem]:
    without_numbers = [re.sub(r"\d+", "#", name) for name in keypoints.names]
    partner = {a: b for pair in keypoints.flip_pairs for a, b in (pair, pair[::-1])}
    for index, name in enumerate(keypoints.names):
        expected = re.sub(r"\d+", "#", _other_side(name))
        if not _side(name) or expected not in without_numbers:
            continue
        found = partner.get(index)
        if found is None or without_numbers[found] != expected:
            yield Problem(
                "flip_pair_name",
                "error",
                f"keypoint {index} ({name})",
                f"expected a partner called like {_other_side(name)}, found "
                f"{'none' if found is None else keypoints.names[found]}",
            )


def pairs_against_points(samples: Sequence[KeypointSample], keypoints: Keypoints) -> Iterator[Problem]:
    """Pairs of named sides that lie the other way round than the other pairs in most objects."""
    pairs = [_left_first(pair, keypoints.names) for pair in keypoints.flip_pairs]
    if len(pairs) < _FEWEST_PAIRS or len(samples) < _FEWEST_OBJECTS:
        return
    directions_NP2 = np.array([_directions(sample, pairs) for sample in samples])
    turns_P = _common_turns(directions_NP2)
    named = np.array([all(_side(keypoints.names[index]) for index in pair) for pair in pairs])
    # Which way the names turn: that of most pairs. A pair that is not named has no side of its own.
    names_turn = np.sign(turns_P[named].sum()) if named.any() else 0.0
    agreements_NP = _agreements(directions_NP2 * turns_P[:, None])
    for index in np.flatnonzero(named & (turns_P != names_turn)):
        known = agreements_NP[:, index][~np.isnan(agreements_NP[:, index])]
        if len(known) >= _FEWEST_OBJECTS and (known > 0).mean() > _EXCHANGED_SHARE:
            left, right = pairs[index]
            yield Problem(
                "flip_pair_sides",
                "warning",
                f"keypoints {left} and {right} ({keypoints.names[left]}, {keypoints.names[right]})",
                f"lie the other way round than most pairs in {(known > 0).mean():.0%} of {len(known)} objects",
            )


def _side(name: str) -> str:
    """`l`, `r` or nothing."""
    found = _SIDE.search(name)
    return found[0][0].lower() if found else ""


def _other_side(name: str) -> str:
    def exchanged(match: re.Match[str]) -> str:
        other = _OTHER_SIDE[match[0].lower()]
        return other.upper() if match[0].isupper() else other.capitalize() if match[0][0].isupper() else other

    return _SIDE.sub(exchanged, name)


def _left_first(pair: tuple[int, int], names: Sequence[str]) -> tuple[int, int]:
    first, second = pair
    return (second, first) if _side(names[first]) == "r" else pair


def _directions(sample: KeypointSample, pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """(P, 2): the unit vector from the first to the second keypoint of each pair; zero where one is not visible."""
    lines_P2 = np.array([sample.points_in_image[b] - sample.points_in_image[a] for a, b in pairs])
    lengths = np.linalg.norm(lines_P2, axis=1)
    seen = np.array([sample.visible[a] and sample.visible[b] for a, b in pairs]) & (lengths > 0)
    return np.where(seen[:, None], lines_P2, 0.0) / np.where(seen, lengths, 1.0)[:, None]


def _common_turns(directions_NP2: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) of 1 and -1: how to turn each pair's line so that all of an object point the same way, most of the time.

    The signs of the leading eigenvector of the pairs' mean cosines.
    """
    together_PP = np.einsum("npi,nqi->pq", directions_NP2, directions_NP2)
    seen_NP = (directions_NP2 != 0).any(axis=2).astype(float)
    cosines_PP = together_PP / np.maximum(seen_NP.T @ seen_NP, 1.0)
    leading = np.linalg.eigh(cosines_PP)[1][:, -1]
    return np.where(leading < 0, -1.0, 1.0)


def _agreements(directions_NP2: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, P): cosine between a pair's line and the sum of the other pairs'; nan where either is missing."""
    others_NP2 = directions_NP2.sum(axis=1, keepdims=True) - directions_NP2
    lengths = np.linalg.norm(others_NP2, axis=2)
    known = (directions_NP2 != 0).any(axis=2) & (lengths > 1e-9)
    cosines = (directions_NP2 * others_NP2).sum(axis=2) / np.where(known, lengths, 1.0)
    return np.where(known, cosines, np.nan)
