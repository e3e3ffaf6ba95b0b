"""Validation while training: the first metric of the recipe, in image pixels, the same that an export measures."""

from pathlib import Path
from typing import Any

import pytest

from model_export.curves import draw_curves
from model_export.epoch_record import followed_figures
from model_export.export_bundle import export_bundle
from model_export.progress import describe_epoch
from model_export.recipe import Recipe, parse_recipe
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import run_recipe

OKS = {"kind": "oks", "area": "box_times_0.53", "keypoint_score_above": 0.0, "nms_above": 0.9}


def recipe_with(*metrics: dict[str, Any]) -> Recipe:
    """The small recipe with these metrics instead."""
    values = small_recipe().model_dump(mode="json", exclude_none=True)
    values["evaluation"] = {"metrics": list(metrics)}
    values["keypoints"]["oks_sigmas"] = [0.3] * 5
    return parse_recipe(values, "a test")


def test_the_first_metric_is_followed_and_an_export_measures_the_same(tmp_path: Path) -> None:
    pck = {"kind": "pck", "thresholds": [0.1, 0.4], "normaliser": {"kind": "box_root_area"}}
    run = run_recipe(recipe_with({"kind": "epe"}, pck, OKS), tmp_path / "run")
    last = run.read_metrics()[-1]
    assert followed_figures(last).keys() == {"EPE", "offset x", "offset y"}
    manifest, _ = export_bundle(run, tmp_path / "bundle", None)
    recorded = {figure.metric: figure for figure in manifest.accuracy}
    assert recorded.keys() >= {"EPE", "PCK@0.1", "PCK@0.4", "AP", "AR50"}
    assert "offset x" not in recorded
    assert recorded["EPE"].value == pytest.approx(last["validation_EPE"], abs=1e-3)  # measured: 1e-6, rounded to 1e-5
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"| EPE | {recorded['EPE'].value:.2f} px | mean over all labelled keypoints" in card


def test_average_precision_can_be_followed(tmp_path: Path) -> None:
    run = run_recipe(recipe_with(OKS), tmp_path / "run")
    record = run.read_metrics()[-1]
    figures = followed_figures(record)
    assert figures["AP"] is not None
    assert 0 <= figures["AP"] <= 1
    assert len(figures) == 10
    assert f"AP {figures['AP']:.4g}" in describe_epoch(record, 2)
    # What could not be measured is null in the record, and leaves a gap in the curve.
    run.append_metrics({**record, "epoch": 2, "validation_AP": None})
    draw_curves(run)
    assert (run.path / "curves.png").stat().st_size > 10_000
