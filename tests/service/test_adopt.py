"""`focalpoint adopt`: what it reads, what it assumes, what it asks, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from service.adoption.golden import given_picture
from service.cli import build_command_line
from service.contract.bundle_manifest import BundleError, BundleManifest
from service.contract.crop_transform import Box
from service.contract.golden_images import load_golden_images
from service.contract.model_output import HeatmapOutput, SimccOutput
from service.errors import InvalidSetting, StartupError
from service.model_loading import load_model
from tests.fakes import encode
from tests.service.adoption_runs import HEATMAP_DECODER, MSRA, SIMCC, UDP, adopt, write_pipeline
from tests.third_party_graphs import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preparation,
    draw_colours,
    write_coordinates,
    write_heatmaps,
    write_simcc,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "end2end.onnx"


def lines_of(printed: str) -> dict[str, str]:
    """The printed table: label -> the rest of its line."""
    return {line[:16].strip(): line[17:] for line in printed.splitlines() if len(line) > 47 and line[16] == " "}


def test_every_value_is_printed_with_its_source_and_kept(file: Path) -> None:
    write_heatmaps(file, Preparation())
    write_pipeline(file.parent, HEATMAP_DECODER, MSRA)
    bundle, printed = adopt(file)
    table = lines_of(printed)
    expected = {
        "kind": ("mmdeploy-heatmap", "read from pipeline.json"),
        "size": ("192, 256", "read from the graph"),
        "tensor": ("input", "read from the graph"),
        "batch": ("any", "measured: two crops at once work"),
        "colour order": ("rgb", "read from pipeline.json, Normalize"),
        "mean": ("123.675, 116.28, 103.53", "read from pipeline.json, Normalize"),
        "padding": ("1.25", "read from pipeline.json, where MMDeploy 1.x writes 1.25 whatever the training had"),
        "warp": ("top_down", "read from pipeline.json, TopDownAffine"),
        "heatmaps tensor": ("output", "read from the graph by its name"),
        "stride": ("4", "read from the graph"),
        "decoding": ("quarter_step", "read from pipeline.json, MSRAHeatmap"),
        "sigma": ("2", "read from pipeline.json, MSRAHeatmap"),
        "alignment": ("stride", "assumed: goes with decoding quarter_step"),
    }
    for label, (value, source) in expected.items():
        assert table[label].split(maxsplit=value.count(" ") + 1) == [*value.split(), source], label
    assumed = [line for line in printed.splitlines() if "assumed: " in line]
    assert (
        printed.splitlines()[: -len(assumed) - 1]
        == [  # what is assumed stands last, before the closing words
            line for line in printed.splitlines()[:-1] if line not in assumed
        ]
    )
    manifest = BundleManifest.load(bundle)
    kept = manifest.training["adopted"]
    assert kept["values"]["warp"] == {"value": "top_down", "source": "read from pipeline.json, TopDownAffine"}
    assert (kept["file"], kept["mmdeploy"], kept["mmpose"], kept["config"]) == (
        "end2end.onnx", "1.3.1", "1.3.1", "td-hm_3k.py",
    )  # fmt: skip
    assert "/home/x" not in (bundle / "manifest.json").read_text(encoding="utf-8")  # nobody's paths
    assert manifest.input.mean == IMAGENET_MEAN
    assert manifest.input.std == IMAGENET_STD
    assert manifest.licence.name == "Apache-2.0"
    assert "| colour_order | rgb | read from pipeline.json" in (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Apache-2.0" in (bundle / "LICENSE").read_text(encoding="utf-8")
    assert manifest.sha256.keys() == {
        "LICENSE", "MODEL_CARD.md", "golden/drawn.png", "golden/golden.json", "model.onnx",
    }  # fmt: skip


def test_everything_that_is_not_known_is_asked_for_in_one_sentence(file: Path) -> None:
    write_heatmaps(file, Preparation(), output="2947")
    asked = r"^end2end\.onnx and the files beside it do not say all that is needed: give "
    with pytest.raises(InvalidSetting, match=asked + r"--kind mmdeploy-heatmap\|mmdeploy-simcc\|hrnet"):
        adopt(file)
    with pytest.raises(InvalidSetting, match=asked + "--colour-order .*; --mean .*; --std [^;]*; --decoding [^;]*$"):
        adopt(file, "--kind", "mmdeploy-heatmap")
    with pytest.raises(InvalidSetting, match=r"--padding, .*; --warp .*; --unit"):
        adopt(file, "--kind", "coordinates")
    with pytest.raises(InvalidSetting, match=r"--output FOLDER; --name.*; --skeleton .*; --licence"):
        CliRunner().invoke(build_command_line(), ["adopt", str(file), "--kind", "hrnet"], catch_exceptions=False)
    write_simcc(file, Preparation())
    with pytest.raises(InvalidSetting, match=r"give --colour-order rgb\|bgr; --mean [^;]*; --std [^;]*$"):
        adopt(file)
    assert not (file.parent / "bundle").exists()


def test_a_rule_of_decoding_brings_its_original_with_it(file: Path) -> None:
    write_heatmaps(file, Preparation(), output="2947")
    bundle, printed = adopt(file, "--kind", "hrnet", "--decoding", "dark", "--blur-kernel", "17")
    output = BundleManifest.load(bundle).output
    assert isinstance(output, HeatmapOutput)
    assert (output.alignment, output.encoding, output.blur_kernel) == ("stride", "gaussian", 17)
    assert "given by --decoding" in lines_of(printed)["decoding"]


@pytest.mark.parametrize(
    ("parameters", "decoding"),
    [
        (MSRA, "quarter_step"),
        (MSRA | {"unbiased": True, "blur_kernel_size": 17}, "dark"),  # where MMDeploy's own SDK answers a quarter step
        (UDP, "dark_udp"),
        ({"post_process": "default", "use_udp": True, "modulate_kernel": 11}, "dark_udp"),
        ({"post_process": "unbiased", "modulate_kernel": 17}, "dark"),
    ],
)
def test_the_codec_is_read_from_pipeline_json(file: Path, parameters: dict[str, Any], decoding: str) -> None:
    write_heatmaps(file, Preparation())
    write_pipeline(file.parent, HEATMAP_DECODER, parameters)
    output = BundleManifest.load(adopt(file)[0]).output
    assert isinstance(output, HeatmapOutput)
    assert output.decoding == decoding
    kernel = parameters.get("blur_kernel_size", parameters.get("modulate_kernel", 11))
    assert output.blur_kernel == (kernel if decoding.startswith("dark") else 11)


@pytest.mark.parametrize(
    ("component", "parameters", "words"),
    [
        (HEATMAP_DECODER, MSRA | {"post_process": "megvii"}, "expected a codec of MSRAHeatmap, UDPHeatmap"),
        (HEATMAP_DECODER, UDP | {"heatmap_type": "combined"}, "found UDPHeatmap with offset maps"),
        ("DeepposeRegressionHeadDecode", {"type": "IntegralRegressionLabel"}, "found IntegralRegressionLabel"),
        ("YOLOXPose", {}, "found YOLOXPose"),
        ("SimCCLabelDecode", SIMCC | {"use_dark": True}, "SimCC with use_dark is not decoded here"),
        ("", {}, "expected one task with a component that decodes, found 0"),
    ],
)
def test_a_codec_that_is_not_decoded_here_is_refused(
    file: Path, component: str, parameters: dict[str, Any], words: str
) -> None:
    write_heatmaps(file, Preparation())
    write_pipeline(file.parent, component, parameters)
    with pytest.raises(StartupError, match=rf"pipeline\.json: .*{words}"):
        adopt(file)


def test_files_beside_that_are_broken_or_of_another_task_are_refused(file: Path) -> None:
    write_heatmaps(file, Preparation())
    write_pipeline(file.parent, HEATMAP_DECODER, MSRA)
    with pytest.raises(StartupError, match=r"--kind mmdeploy-simcc: expected simcc, but pipeline\.json"):
        adopt(file, "--kind", "mmdeploy-simcc")
    (file.parent / "deploy.json").write_text('{"task": "Detector"}', encoding="utf-8")
    with pytest.raises(StartupError, match=r"deploy\.json: expected the task PoseDetector, found 'Detector'"):
        adopt(file)
    (file.parent / "deploy.json").write_text("[]", encoding="utf-8")
    with pytest.raises(StartupError, match=r"deploy\.json: "):
        adopt(file)
    (file.parent / "pipeline.json").write_text('{"pipeline": {}}', encoding="utf-8")
    with pytest.raises(StartupError, match=r"pipeline\.json: missing key pipeline\.tasks"):
        adopt(file)
    (file.parent / "pipeline.json").write_text("{", encoding="utf-8")
    with pytest.raises(StartupError, match=r"pipeline\.json: .*JSON"):
        adopt(file)


def test_the_size_of_the_graph_goes_before_a_stale_one_beside_it(file: Path) -> None:
    write_simcc(file, Preparation(width=256, height=256))
    write_pipeline(file.parent, "SimCCLabelDecode", SIMCC, size=(192, 256))
    bundle, printed = adopt(file)
    assert BundleManifest.load(bundle).input.width == 256
    assert "192, 256 is read from pipeline.json, TopDownAffine, and wrong" in lines_of(printed)["size"]
    with pytest.raises(InvalidSetting, match="--size: the graph takes 256x256, found 192x256"):
        adopt(file, "--size", "192x256")


def test_what_pipeline_json_says_goes_before_the_origins_conventions_and_flags_before_both(file: Path) -> None:
    write_heatmaps(file, Preparation())
    write_pipeline(file.parent, HEATMAP_DECODER, MSRA, to_rgb=False)
    path = file.parent / "pipeline.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"padding": 1.25', '"padding": 1.0'), encoding="utf-8")
    manifest = BundleManifest.load(adopt(file, "--kind", "hrnet", "--padding", "1.1")[0])
    assert (manifest.input.colour_order, manifest.input.padding) == ("bgr", 1.1)


def test_outputs_that_shapes_do_not_tell_apart_are_asked_for(file: Path) -> None:
    square = Preparation(width=128, height=128)
    flags = ("--kind", "mmdeploy-simcc", "--colour-order", "rgb", "--mean", "0,0,0", "--std", "255,255,255")
    write_simcc(file, Preparation(width=128, height=128, mean=(0, 0, 0), std=(255, 255, 255)), outputs=("a", "b"))
    with pytest.raises(InvalidSetting, match="--output-tensor NAME"):
        adopt(file, *flags)
    with pytest.raises(StartupError, match=r"--output-tensor c: end2end\.onnx has the outputs a, b"):
        adopt(file, *flags, "--output-tensor", "c")
    output = BundleManifest.load(adopt(file, *flags, "--output-tensor", "b", "--output-tensor", "a")[0]).output
    assert isinstance(output, SimccOutput)
    assert (output.x_tensor, output.y_tensor) == ("b", "a")
    write_coordinates(file, square, normalized=True)
    with pytest.raises(StartupError, match=r"SimCC rows \[N, K, 256\] for 128 pixels, found points \['N', 3, 2\]"):
        adopt(file, *flags)
    with pytest.raises(StartupError, match=r"expected an output of heatmaps \[N, K, h, w\], found points"):
        adopt(file, "--kind", "hrnet")


def test_a_graph_that_only_says_that_it_takes_any_batch_is_run_crop_by_crop(file: Path) -> None:
    write_heatmaps(file, Preparation())
    model = onnx.load(str(file))
    shape = onnx.numpy_helper.from_array(np.array([1, 3, 64, 48]), "traced")  # as a tracer leaves it
    model.graph.initializer.append(shape)
    model.graph.node[-1].output[0] = "untraced"
    model.graph.node.append(onnx.helper.make_node("Reshape", ["untraced", "traced"], ["output"]))
    onnx.save_model(model, str(file))
    bundle, printed = adopt(file, "--kind", "hrnet")
    assert "measured: the graph says that it takes any batch, and fails on two crops" in lines_of(printed)["batch"]
    assert BundleManifest.load(bundle).input.batch == "one"


@pytest.mark.parametrize(
    ("batch", "words"),
    [(4, "expected a batch size of 1 or any, found the fixed size 4"), ("N", "there is no such file")],
)
def test_a_file_that_cannot_be_run_is_refused(file: Path, batch: int | str, words: str) -> None:
    if batch == 4:
        write_heatmaps(file, Preparation(batch=batch))
    with pytest.raises(StartupError, match=words):
        adopt(file, "--kind", "hrnet")


def test_flags_that_say_nothing_are_refused(file: Path) -> None:
    write_heatmaps(file, Preparation())
    for flags, words in (
        (("--kind", "openpose"), "--kind: expected one of mmdeploy-heatmap, .*found 'openpose'"),
        (("--kind", "hrnet", "--mean", "1,2"), "--mean: expected three numbers .*found '1,2'"),
        (("--kind", "hrnet", "--size", "192"), "--size: expected WIDTHxHEIGHT"),
        (("--kind", "hrnet", "--decoding", "dank"), "--decoding: expected one of soft_argmax, .*found 'dank'"),
        (("--kind", "hrnet", "--colour-order", "brg"), r"input\.colour_order: .*found 'brg'"),
        (("--kind", "hrnet", "--box", "1,2,3,4"), "--golden and --box go together"),
        (("--kind", "hrnet", "--golden", str(file), "--box", "1,2,3"), "--box: expected x,y,width,height"),
        (("--kind", "hrnet", "--golden", str(file), "--box", "1,2,3,4"), "--golden end2end.onnx: "),
    ):
        with pytest.raises(InvalidSetting, match=words):
            adopt(file, *flags)
        assert sorted(path.name for path in file.parent.iterdir()) == ["colours.toml", "end2end.onnx"]
    with pytest.raises(StartupError, match=r"--skeleton coco17: end2end\.onnx has 3 keypoints, found 17"):
        adopt(file, "--kind", "hrnet", "--skeleton", "coco17")
    with pytest.raises(StartupError, match=r"--skeleton: skeleton 'coco': there is no file"):
        adopt(file, "--kind", "hrnet", "--skeleton", "coco")
    with pytest.raises(StartupError, match=r"--licence-file .*cannot be read"):
        adopt(file, "--kind", "hrnet", "--licence-file", str(file.parent / "none"))
    with pytest.raises(StartupError, match=r"--golden .*cannot be read"):
        given_picture(file.parent / "none.png", Box(0, 0, 1, 1), "")


def test_a_folder_with_something_in_it_is_left_alone(file: Path) -> None:
    write_heatmaps(file, Preparation())
    bundle = file.parent / "bundle"
    bundle.mkdir()
    (bundle / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StartupError, match=r"--output .*expected a new or an empty folder"):
        adopt(file, "--kind", "hrnet")
    assert (bundle / "mine.txt").read_text(encoding="utf-8") == "mine"
    (bundle / "mine.txt").unlink()
    assert adopt(file, "--kind", "hrnet")[0] == bundle


def test_a_folder_that_cannot_be_written_is_named(file: Path) -> None:
    write_heatmaps(file, Preparation())
    with pytest.raises(StartupError, match=r"--output .*below: it cannot be written \("):
        adopt(file, "--kind", "hrnet", "--output", str(file / "below"))


def test_a_golden_picture_compares_the_keypoints_that_it_shows(file: Path) -> None:
    write_heatmaps(file, Preparation())
    picture = file.parent / "two.png"
    shown = np.array([[85.0, 103.0], [163.0, 143.0]])
    colours = np.zeros((310, 250, 3), np.uint8)
    colours[..., :2] = draw_colours(shown, 250, 310)  # no blue
    picture.write_bytes(encode(colours))
    box = "43.2,47.6,153.6,204.8"
    flags = ("--kind", "hrnet", "--golden", str(picture), "--box", box, "--golden-source", "drawn by a test")
    bundle, printed = adopt(file, *flags)
    assert "compares 2 of 3 keypoints" in printed
    (golden,) = load_golden_images(bundle)
    assert (golden.image, golden.source, golden.compared) == ("two.png", "drawn by a test", (0, 1))
    assert np.abs(np.array(golden.points_in_image)[:2] - shown).max() < 0.05
    moved = golden.model_copy(update={"points_in_image": ((90.0, 103.0), *golden.points_in_image[1:])})
    with pytest.raises(BundleError, match=r"golden image two\.png: a keypoint lies 5 px from where it was"):
        moved.check(np.array(golden.points_in_image))
    everywhere = golden.model_copy(update={"points_in_image": (*golden.points_in_image[:2], (0.0, 0.0))})
    everywhere.check(np.array(golden.points_in_image))


def test_weights_in_a_file_of_their_own_come_with_it(file: Path) -> None:
    write_heatmaps(file, Preparation())
    model = onnx.load(str(file))
    name = "end2end.onnx.data"
    onnx.save_model(model, str(file), save_as_external_data=True, location=name, size_threshold=500)
    bundle, _ = adopt(file, "--kind", "hrnet")
    assert name in BundleManifest.load(bundle).sha256
    load_model(bundle, "cpu", 1)
    with (bundle / name).open("ab") as weights:
        weights.write(b"\0")
    with pytest.raises(BundleError, match=r"end2end\.onnx\.data: SHA-256"):
        load_model(bundle, "cpu", 1)


def test_the_manifest_is_plain_json(file: Path) -> None:
    write_heatmaps(file, Preparation())
    values = json.loads((adopt(file, "--kind", "simplebaseline")[0] / "manifest.json").read_text(encoding="utf-8"))
    assert values["input"]["colour_order"] == "bgr"
    assert values["output"]["kind"] == "heatmaps"
