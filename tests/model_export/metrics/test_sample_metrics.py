"""Metrics of samples on cases computed by hand."""

import numpy as np
import pytest

from model_export.metrics.figures import Figure
from model_export.metrics.nme import area_under_ced, failure_rate, nme, normalised_mean_errors
from model_export.metrics.normalisers import normaliser_lengths, normaliser_name
from model_export.metrics.pck import pck, pckh
from model_export.metrics.point_errors import epe, mean_offset, point_errors
from model_export.metrics.radial_error import radial_error
from model_export.metrics.settings import (
    EpeSettings,
    GroupDistance,
    KeypointDistance,
    NmeSettings,
    PckhSettings,
    PckSettings,
    RadialErrorSettings,
    SampleLength,
)
from service.contract.crop_transform import Box
from tests.model_export.metrics.labelled import labelled, shifted

PAIR = KeypointDistance(kind="keypoint_distance", keypoints=(0, 1), name="distance of 0 and 1")
FIRST = labelled([[0, 0], [10, 0], [5, 5]])
SECOND = labelled([[0, 0], [0, 20], [3, 3]])


def values(figures: tuple[Figure, ...]) -> dict[str, float]:
    return {figure.metric: figure.value for figure in figures}


def test_nme_is_the_mean_error_over_the_normaliser_of_each_sample() -> None:
    samples = [FIRST, SECOND]
    found = shifted(samples, (3, 4), (0, 2))  # every point 5 px off, then 2 px
    assert normalised_mean_errors(samples, found, PAIR).tolist() == [0.5, 0.1]
    settings = NmeSettings(kind="nme", normaliser=PAIR, thresholds=(0.1, 0.4))
    measured = nme(samples, found, settings)
    # CED: 0 below 0.1, a half from there to 0.5. AUC@0.4 = (0.4 - 0.1) x 1/2 / 0.4.
    assert values(measured) == pytest.approx({"NME": 0.3, "FR@0.1": 0.5, "AUC@0.1": 0, "FR@0.4": 0.5, "AUC@0.4": 0.375})
    assert {figure.counted for figure in measured} == {2}
    assert all("normaliser distance of 0 and 1" in figure.convention for figure in measured)
    assert measured[0].text == "30.00%"


def test_the_mean_is_over_the_samples_not_over_all_their_keypoints() -> None:
    one_label = labelled([[0, 0], [10, 0], [5, 5]], [True, True, False])
    samples = [FIRST, one_label]
    found = shifted(samples, (0, 1), (0, 3))
    settings = NmeSettings(kind="nme", normaliser=PAIR, thresholds=(0.1,))
    assert values(nme(samples, found, settings))["NME"] == pytest.approx((0.1 + 0.3) / 2)  # over keypoints: 0.18


def test_a_failure_is_strictly_above_the_threshold() -> None:
    assert failure_rate(np.array([0.05, 0.1, 0.1001, 0.5, np.inf]), 0.1) == 0.6


def test_the_area_under_the_ced_is_exact_and_agrees_with_a_fine_sum() -> None:
    errors = np.array([0.0, 0.013, 0.05, 0.0999, 0.1, 0.2, np.inf])
    # 0.1 + 0.087 + 0.05 + 0.0001 over 7 and over 0.1
    assert area_under_ced(errors, 0.1) == pytest.approx(0.2371 / 0.7, abs=1e-12)
    heights = [(errors <= e).mean() for e in (np.arange(100_000) + 0.5) * 1e-6]
    assert area_under_ced(errors, 0.1) == pytest.approx(np.mean(heights), abs=1e-5)


def test_what_is_not_labelled_does_not_count_whatever_stands_there() -> None:
    sample = labelled([[0, 0], [10, 0], [np.nan, 1e300]], [True, True, False])
    found = np.array([[[0, 0], [10, 0], [np.nan, -1e300]]])
    assert normalised_mean_errors([sample], found, PAIR).tolist() == [0]
    errors = point_errors(found, sample.points_in_image[None], sample.visible[None])
    assert errors[0, :2].tolist() == [0, 0]
    assert np.isnan(errors[0, 2])
    assert mean_offset(found, sample.points_in_image[None], sample.visible[None]) == (0, 0)


def test_a_prediction_that_is_not_finite_is_a_keypoint_that_was_not_found() -> None:
    found = shifted([FIRST, SECOND], (0, 0), (0, 0))
    found[1, 2, 0] = np.nan
    samples = [FIRST, SECOND]
    nmes = values(nme(samples, found, NmeSettings(kind="nme", normaliser=PAIR, thresholds=(0.1,))))
    assert nmes == {"NME": np.inf, "FR@0.1": 0.5, "AUC@0.1": 0.5}
    shares = values(pck(samples, found, PckSettings(kind="pck", normaliser=PAIR, thresholds=(1e9,))))
    assert shares == {"PCK@1e+09": pytest.approx(5 / 6)}
    measured = epe(samples, found, EpeSettings(kind="epe"))
    assert measured[0].value == np.inf
    assert measured[0].json_value is None
    assert np.isnan(measured[1].value)


def test_samples_without_label_or_normaliser_are_left_out_and_counted() -> None:
    blind = labelled([[1, 1], [2, 2], [3, 3]], [False] * 3)
    flat = labelled([[7, 7], [7, 7], [3, 3]])
    one_eyed = labelled([[0, 0], [10, 0], [3, 3]], [True, False, True])
    samples = [FIRST, blind, flat, one_eyed]
    found = shifted(samples, (0, 1), (0, 9), (0, 9), (0, 9))
    measured = nme(samples, found, NmeSettings(kind="nme", normaliser=PAIR, thresholds=(0.1,)))
    assert measured[0].value == pytest.approx(0.1)
    assert (measured[0].counted, measured[0].left_out) == (1, 3)
    share = pck(samples, found, PckSettings(kind="pck", normaliser=PAIR, thresholds=(0.2,)))
    assert (share[0].value, share[0].counted, share[0].left_out) == (1.0, 1, 3)
    (nothing,) = nme([blind], found[1:2], NmeSettings(kind="nme", normaliser=PAIR, thresholds=(0.1,)))
    assert np.isnan(nothing.value)
    assert nothing.text == "nothing to measure"


def test_the_normalisers() -> None:
    box = Box(5, 5, 40, 90)
    sample = labelled(
        [[0, 0], [4, 0], [2, 30], [2, 34]], annotated_box=box, head_size=12.5, box_size=77.0, mm_per_pixel=0.1
    )
    bare = labelled([[0, 0], [8, 0], [2, 30], [2, 35]])
    groups = GroupDistance(kind="group_distance", first=(0, 1), second=(2, 3), name="inter-pupil")
    assert normaliser_lengths([sample], groups).tolist() == [32.0]
    lengths = {
        kind: normaliser_lengths([sample, bare], SampleLength(kind=kind)).tolist()
        for kind in ("box_root_area", "box_longer_side", "head_size", "box_size")
    }
    assert lengths["box_root_area"] == pytest.approx([60.0, np.sqrt(9 * 36)])
    assert lengths["box_longer_side"] == [90.0, 36.0]
    assert lengths["head_size"] == [12.5, pytest.approx(np.nan, nan_ok=True)]
    assert lengths["box_size"] == [77.0, pytest.approx(np.nan, nan_ok=True)]
    root_area = SampleLength(kind="box_root_area")
    assert normaliser_name([sample], root_area) == "sqrt(width x height) of the annotated box"
    assert normaliser_name([bare], root_area).endswith("of the tightest box around the labels")
    assert "annotated box (1 of 2 samples)" in normaliser_name([sample, bare], root_area)


def test_pck_counts_every_label_the_same_and_its_threshold_as_correct() -> None:
    samples = [FIRST, labelled([[0, 0], [20, 0], [3, 3]], [True, True, False])]
    found = shifted(samples, (0, 2), (0, 6))  # 0.2 and 0.3 of the normaliser
    settings = PckSettings(kind="pck", normaliser=PAIR, thresholds=(0.1, 0.2, 0.3))
    measured = pck(samples, found, settings)
    assert values(measured) == pytest.approx({"PCK@0.1": 0, "PCK@0.2": 0.6, "PCK@0.3": 1})
    assert "<= 0.2 x normaliser" in measured[1].convention


def test_pckh_leaves_joints_out_and_names_both_readings_of_a_tenth() -> None:
    # Four joints, head size 10 px; errors as shares of it: 0.5, 0.10, 0.105, 0.51; joint 3 is left out.
    first = labelled([[0, 0], [100, 0], [200, 0], [300, 0]], head_size=10.0)
    second = labelled([[0, 0], [100, 0], [200, 0], [300, 0]], [True, False, True, True], head_size=20.0)
    found = np.stack([first.points_in_image, second.points_in_image])
    found[0, :, 1] += [5.0, 1.0, 1.05, 90.0]
    found[1, :, 1] += [10.2, 9.0, 2.1, 0.0]
    settings = PckhSettings(kind="pckh", left_out=(3,), columns={"Outer": (0, 2), "Inner": (1,)})
    measured = values(pckh([first, second], found, settings))
    assert measured == pytest.approx(
        {
            "PCKh@0.5": 4 / 5,
            "PCKh@0.1 (index 10)": 1 / 5,
            "PCKh@0.1 (index 11)": 3 / 5,
            "PCKh@0.5 Outer": (1 / 2 + 1) / 2,
            "PCKh@0.5 Inner": 1,
        }
    )


def test_pckh_is_mpiis_mean_over_joints_weighted_by_their_counts() -> None:
    """The published formula: sum over joints of PCKh x count / sum of counts, without pelvis and thorax."""
    random = np.random.default_rng(3)
    samples = [
        labelled(random.uniform(0, 200, (16, 2)), random.random(16) < 0.7, head_size=float(random.uniform(10, 40)))
        for _ in range(50)
    ]
    found = np.stack([s.points_in_image for s in samples]) + random.normal(0, 9, (50, 16, 2))
    error = np.linalg.norm(found - np.stack([s.points_in_image for s in samples]), axis=2)
    error /= np.array([[s.head_size] for s in samples], dtype=np.float64)
    visible = np.stack([s.visible for s in samples])
    count = visible.sum(axis=0)
    count[6:8] = 0
    per_joint = ((error <= 0.5) & visible).sum(axis=0) / visible.sum(axis=0)
    measured = values(pckh(samples, found, PckhSettings(kind="pckh", left_out=(6, 7))))
    assert measured["PCKh@0.5"] == pytest.approx((per_joint * count).sum() / count.sum(), abs=1e-12)


def test_radial_errors_are_in_each_pictures_own_millimetres() -> None:
    samples = [labelled([[0, 0], [9, 9]], mm_per_pixel=0.1), labelled([[0, 0], [9, 9]], mm_per_pixel=0.5)]
    found = np.stack([s.points_in_image for s in samples])
    found[0, :, 0] += [10, 20]  # 1 mm, 2 mm
    found[1, :, 0] += [5, 9]  # 2.5 mm, 4.5 mm
    strict = RadialErrorSettings(kind="radial_error", thresholds_mm=(2, 2.5, 3, 4), comparison="<")
    measured = radial_error(samples, found, strict)
    assert values(measured) == pytest.approx(
        {
            "MRE": 2.5,
            "SD of the radial error": np.sqrt((1.5**2 + 0.5**2 + 0 + 2**2) / 3),
            "SDR@2mm": 0.25,
            "SDR@2.5mm": 0.5,
            "SDR@3mm": 0.75,
            "SDR@4mm": 0.75,
        }
    )
    loose = radial_error(samples, found, strict.model_copy(update={"comparison": "<="}))
    assert values(loose)["SDR@2mm"] == 0.5
    assert values(loose)["SDR@2.5mm"] == 0.75
    assert measured[0].text == "2.50 mm"


def test_a_picture_without_a_spacing_is_left_out_of_millimetres() -> None:
    samples = [labelled([[0, 0]], mm_per_pixel=0.1), labelled([[0, 0]])]
    settings = RadialErrorSettings(kind="radial_error", thresholds_mm=(2,), comparison="<=")
    measured = radial_error(samples, shifted(samples, (30, 40), (0, 0)), settings)
    assert measured[0].value == pytest.approx(5.0)
    assert (measured[0].counted, measured[0].left_out) == (1, 1)
    (nothing,) = radial_error(samples[1:], shifted(samples[1:], (0, 0)), settings)
    assert np.isnan(nothing.value)


def test_the_end_point_error_and_the_signed_offset_are_over_all_labels() -> None:
    samples = [labelled([[0, 0], [1, 1]]), labelled([[0, 0], [1, 1]], [True, False])]
    measured = epe(samples, shifted(samples, (3, 4), (0, -1)), EpeSettings(kind="epe"))
    assert values(measured) == pytest.approx({"EPE": 11 / 3, "offset x": 2.0, "offset y": 7 / 3})
    assert [figure.text for figure in measured] == ["3.67 px", "+2.00 px", "+2.33 px"]
