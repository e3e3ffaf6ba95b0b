"""`focalpoint inspect`: what a bundle is, in words and as JSON, and whether it is whole."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import build_command_line
from service.contract.bundle_manifest import BundleManifest
from service.inspection.words import input_words, output_words
from tests.fakes import fake_manifest, write_bundle
from tests.service.adoption_runs import HEATMAP_DECODER, MSRA, adopt, write_pipeline
from tests.service.contract.test_model_output import FLOAT, HEATMAPS, SIMCC
from tests.third_party_graphs import Preparation, write_heatmaps


def inspect(bundle: Path, *flags: str) -> tuple[int, str]:
    """Exit code and standard output."""
    ended = CliRunner().invoke(build_command_line(), ["inspect", str(bundle), *flags])
    return ended.exit_code, ended.stdout


def test_a_bundle_of_this_project_is_explained(bundle: Path) -> None:
    code, text = inspect(bundle)
    assert code == 0
    for words in (
        "discs 1.2.3\n",
        "crops: uint8 [N, 40, 48, 3], NHWC\n",
        "crop: 48 x 40 pixels; the box, grown to that shape, is grown by 2\n",
        "keypoints: float32 [N, 3, 2]\n",
        "decoded inside the graph, from heatmaps of 48 x 40 cells\n",
        "cell to crop: half_pixel, crop = (cell + 0.5) x 1 - 0.5\n",
        "    0 red (mirrored: green)\n",
        "    2 blue\n",
        "2 lines between them; without OKS sigmas\n",
        "Apache-2.0 (not restricted to research). Free to use.\n",
        "accuracy\n  none is recorded\n",
        "ok   model.onnx: sha256 ",
        "ok   discs.png: 3 of 3 keypoints within 0.",
        "allowed are 0.5 px; source: drawn by the tests\n",
    ):
        assert words in text, words


def test_json_says_the_same(bundle: Path) -> None:
    code, text = inspect(bundle, "--json")
    values = json.loads(text)
    manifest = BundleManifest.load(bundle)
    assert code == 0
    assert (values["name"], values["keypoints"]["names"]) == ("discs", ["red", "green", "blue"])
    assert values["input"]["words"] == input_words(manifest.input)
    assert values["output"]["words"] == output_words(manifest)
    assert values["output"]["kind"] == "decoded"
    assert [(entry["name"], entry["agrees"]) for entry in values["files"]] == [("model.onnx", True)]
    assert [(entry["name"], entry["agrees"]) for entry in values["golden_images"]] == [("discs.png", True)]
    assert values["adopted"] is None


def test_an_adopted_bundle_says_what_it_was_made_of(tmp_path: Path) -> None:
    write_heatmaps(tmp_path / "end2end.onnx", Preparation(batch=1))
    write_pipeline(tmp_path, HEATMAP_DECODER, MSRA)
    bundle, _ = adopt(tmp_path / "end2end.onnx")
    code, text = inspect(bundle)
    assert code == 0
    assert "input: float32 [1, 3, 256, 192], NCHW; crops are run one by one" in text
    assert "alignment: stride (assumed: goes with decoding quarter_step)" in text
    assert json.loads(inspect(bundle, "--json")[1])["adopted"]["values"]["warp"]["value"] == "top_down"


def test_what_does_not_agree_is_said_and_ends_with_one(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "moved", golden_shift=1.0)
    code, text = inspect(bundle)
    assert code == 1
    assert "ok   model.onnx" in text
    assert "BAD  discs.png: golden image discs.png: a keypoint lies 1." in text
    with (bundle / "model.onnx").open("ab") as model:
        model.write(b"\0")
    code, text = inspect(bundle, "--json")
    assert code == 1
    values = json.loads(text)
    assert "SHA-256 is" in values["files"][0]["words"]
    assert [entry["agrees"] for entry in values["files"] + values["golden_images"]] == [False, False]


@pytest.mark.parametrize("warp", ["half_pixel", "top_down", "udp"])
@pytest.mark.parametrize("decoding", ["soft_argmax", "peak", "quarter_step", "dark", "dark_udp"])
@pytest.mark.parametrize("alignment", ["half_pixel", "stride", "udp"])
def test_every_choice_has_its_words(warp: str, decoding: str, alignment: str) -> None:
    output = HEATMAPS | {"decoding": decoding, "alignment": alignment}
    manifest = fake_manifest(input=FLOAT | {"warp": warp, "colour_order": "bgr"}, output=output)
    assert f"warp: {warp}" in " ".join(input_words(manifest.input))
    assert "colours: bgr, blue first; (value - mean) / std, mean 0, 0, 0" in input_words(manifest.input)[1]
    text = " ".join(output_words(manifest))
    assert f"cell to crop: {alignment}, crop = " in text
    assert f"place: {decoding}: " in text
    assert ("blur kernel 11" in text) == decoding.startswith("dark")


def test_other_kinds_have_their_words() -> None:
    simcc = output_words(fake_manifest(input=FLOAT, output=SIMCC | {"score_rule": "mean"}))
    assert simcc[0] == "simcc_x: float32 [N, 3, 96]"
    assert simcc[-1] == "score: the mean of the two peaks (rtmlib), clipped to 0..1"
    places = {"kind": "coordinates", "keypoints_tensor": "points", "unit": "normalized"}
    for changes, words in (
        ({}, "score: none in the file: every keypoint says 1"),
        ({"components": 3}, "score: the third number, clipped to 0..1"),
        ({"scores_tensor": "conf"}, "score: conf, clipped to 0..1"),
    ):
        assert output_words(fake_manifest(input=FLOAT, output=places | changes))[-1] == words
