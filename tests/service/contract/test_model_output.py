"""The choice of an output's kind and of an input's form: old manifests stay as they were, impossible ones are named."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.contract.bundle_manifest import BundleError, BundleManifest
from service.contract.model_output import CodecOutput
from tests.fakes import fake_manifest

SIMCC = {"kind": "simcc", "bins_x": 96, "bins_y": 80, "score_rule": "min"}
HEATMAPS = {
    "kind": "heatmaps", "heatmaps_tensor": "maps", "heatmap_width": 12, "heatmap_height": 10, "stride": 4,
    "sigma": 2.0, "decoding": "dark",
}  # fmt: skip
FLOAT = {"width": 48, "height": 40, "padding": 1.0, "dtype": "float32", "mean": [0, 0, 0], "std": [255, 255, 255]}


def test_a_manifest_without_a_kind_is_one_of_this_project() -> None:
    values = fake_manifest().model_dump(mode="json")
    del values["output"]["kind"]
    for new in ("mean", "std", "batch"):
        del values["input"][new]
    manifest = BundleManifest.model_validate(values)
    assert isinstance(manifest.output, CodecOutput)
    assert manifest == fake_manifest()
    assert (manifest.input.dtype, manifest.input.batch, manifest.input.mean) == ("uint8", "any", None)


@pytest.mark.parametrize("output", [SIMCC, HEATMAPS, {"kind": "coordinates", "keypoints_tensor": "x", "unit": "pixel"}])
def test_every_kind_is_read_back_equal(output: dict[str, Any]) -> None:
    manifest = fake_manifest(input=FLOAT, output=output)
    assert BundleManifest.model_validate_json(manifest.model_dump_json()) == manifest
    assert manifest.output.kind == output["kind"]


def test_a_codec_is_there_only_where_there_are_heatmaps() -> None:
    assert fake_manifest(input=FLOAT, output=HEATMAPS).codec.decoding == "dark"
    with pytest.raises(BundleError, match="discs: expected an output kind with heatmaps, found simcc"):
        _ = fake_manifest(input=FLOAT, output=SIMCC).codec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": {"kind": "paf"}}, r"output: .*'paf'.*'decoded', 'heatmaps', 'simcc', 'coordinates'"),
        ({"output": SIMCC | {"score_rule": "max"}}, r"output\.score_rule: .*'min' or 'mean', found 'max'"),
        ({"output": SIMCC | {"split_ratio": 3}}, "bins over split_ratio are 32 x 26.6667 pixels, expected .* 48 x 40"),
        ({"output": HEATMAPS | {"stride": 2}}, "heatmaps times stride are 24 x 20 pixels, expected the crop's 48 x 40"),
        ({"output": HEATMAPS | {"keypoints_tensor": "k"}}, r"unknown key output\.keypoints_tensor"),
        (
            {"output": {"kind": "coordinates", "keypoints_tensor": "k", "unit": "pixel", "components": 3,
                        "scores_tensor": "s"}},
            r"output: components 3 holds the scores already, found scores_tensor 's'",
        ),
        ({"input": {key: FLOAT[key] for key in FLOAT if key != "std"}}, "dtype float32 needs mean and std, found mean"),
        ({"input": FLOAT | {"dtype": "uint8"}}, "dtype uint8 is not normalised, found mean and std"),
        ({"input": FLOAT | {"std": [1, 0, 1]}}, r"input\.std\.1: Input should be greater than 0"),
        ({"input": FLOAT | {"batch": "two"}}, r"input\.batch: .*'any' or 'one'"),
    ],
)  # fmt: skip
def test_an_impossible_choice_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    values = fake_manifest(input=FLOAT, output=HEATMAPS).model_dump(mode="json") | change
    (tmp_path / "manifest.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(BundleError, match=message):
        BundleManifest.load(tmp_path)
