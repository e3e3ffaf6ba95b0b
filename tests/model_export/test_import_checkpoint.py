"""A published checkpoint becomes a bundle that the service loads; what the file cannot tell is asked for."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from model_export import bundle_writing
from model_export.export_network import ParityError
from model_export.networks import build_network
from model_export.onnx_inference import OnnxNetwork
from service.cli import build_command_line
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest, file_sha256
from service.model_loading import load_model
from tests.model_export.networks.known_weights import with_unit_answers

SKELETON = """
names = ["nose", "left_eye", "right_eye"]
edges = [["nose", "left_eye"], ["nose", "right_eye"]]
flip_pairs = [["left_eye", "right_eye"]]
"""
SAID = {
    "network": "pose_resnet_18",
    "input": "64x96",
    "channel-order": "bgr",
    "stride-placement": "pytorch",
    "codec": "classical",
    "sigma": "2",
    "skeleton": "head3.toml",
    "name": "head3",
    "licence": "MIT",
    "licence-file": "LICENCE.txt",
    "source": "Drawn by a generator.",
}


@pytest.fixture(scope="module")
def published() -> nn.Module:
    return with_unit_answers(build_network("pose_resnet_18", 3, {}), width=96, height=64)


@pytest.fixture(scope="module")
def folder(published: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a checkpoint, a skeleton and a licence."""
    folder = tmp_path_factory.mktemp("import")
    state = {f"module.{key}": entry for key, entry in published.state_dict().items()}
    torch.save({"epoch": 140, "model": "pose_resnet", "state_dict": state, "perf": np.float64(0.7)}, folder / "a.pth")
    (folder / "head3.toml").write_text(SKELETON, encoding="utf-8")
    (folder / "LICENCE.txt").write_text("You may.\n", encoding="utf-8")
    return folder


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], *more: str, output: str = "bundle") -> Any:
    monkeypatch.chdir(folder)
    options = [word for key, value in said.items() for word in (f"--{key}", value)]
    return CliRunner().invoke(build_command_line(), ["import-checkpoint", "a.pth", "--output", output, *options, *more])


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        result = run(folder, monkeypatch, SAID, "--any-use")
    assert result.exit_code == 0, result.output
    assert "the accuracy of these weights in this bundle was not measured" in result.stdout
    return folder / "bundle"


def test_the_bundle_says_what_was_said(bundle: Path) -> None:
    manifest = BundleManifest.load(bundle)
    manifest.verify(bundle)
    assert (manifest.name, manifest.version, manifest.accuracy) == ("head3", "1.0.0", ())
    assert (manifest.input.width, manifest.input.height, manifest.input.padding) == (96, 64, 1.25)
    assert (manifest.input.warp, manifest.input.reduction, manifest.input.colour_order) == ("top_down", "none", "rgb")
    codec = manifest.codec
    assert (codec.heatmap_width, codec.heatmap_height, codec.stride, codec.sigma) == (24, 16, 4, 2.0)
    assert (codec.alignment, codec.encoding, codec.decoding) == ("stride", "rounded_gaussian", "quarter_step")
    assert manifest.keypoints.flip_pairs == ((1, 2),)
    assert manifest.training["imported"] == {
        "file": "a.pth",
        "sha256": file_sha256(bundle.parent / "a.pth"),
        "network": "pose_resnet_18",
        "options": {"stride_placement": "pytorch"},
        "channel_order": "bgr",
        "codec": "classical",
    }
    assert (bundle / "LICENSE").read_text(encoding="utf-8") == "You may.\n"
    card = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Drawn by a generator." in card
    assert "was not measured" in card
    assert not list(bundle.parent.glob(".bundle*"))


def test_the_graph_takes_rgb_and_the_network_sees_bgr(bundle: Path, published: nn.Module) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    images = (crops[..., ::-1] / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    with torch.inference_mode():
        expected = published(torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))).numpy()
    found = OnnxNetwork(bundle / MODEL_FILE).run(crops).heatmaps_NKhw
    # Measured: 2e-6 where responses reach one.
    assert np.abs(found - expected).max() < 1e-4
    assert np.abs(OnnxNetwork(bundle / MODEL_FILE).run(crops[..., ::-1]).heatmaps_NKhw - expected).max() > 1e-2


def test_the_service_loads_it(bundle: Path) -> None:
    assert load_model(bundle, "cpu", 1).manifest.name == "head3"


def test_everything_that_the_file_cannot_tell_is_asked_for_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(folder, monkeypatch, {}, output="never")
    assert result.exit_code == 1
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("focalpoint: import-checkpoint needs what the file cannot tell: --network (")
    for option in SAID.keys() - {"stride-placement"} | {"research-only"}:
        assert f"--{option} (" in sentence, option
    assert "--stride-placement" not in sentence  # HRNet for one has none
    assert not (folder / "never").exists()


@pytest.mark.parametrize("option", SAID)
def test_each_of_it_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    said = {key: value for key, value in SAID.items() if key != option}
    result = run(folder, monkeypatch, said, "--any-use", output="never")
    if option == "network":
        expected = "needs what the file cannot tell: --network (which network it fills)"
    else:
        expected = f"needs what the file cannot tell: --{option} ("
    assert result.exit_code == 1
    assert expected in result.stderr
    assert result.stderr.count(" --") == 1
    assert not (folder / "never").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"network": "pose_resnet_34"},
            r"a\.pth does not fit the network: \d+ not in the file: layer1\.2\.conv1\.weig",
        ),
        ({"skeleton": "mpii16"}, r"final_layer\.weight \(file \[3, 256, 1, 1\], network \[16, 256, 1, 1\]\)"),
        ({"skeleton": "absent"}, r"skeleton 'absent': there is no file"),
        ({"network": "vast"}, r"network\.name: expected one of compact"),
        ({"input": "100x96"}, r"input: pose_resnet_18 answers images 100 high and 96 wide .* multiples of 32"),
        ({"input": "96"}, r"--input: expected HEIGHTxWIDTH"),
        ({"channel-order": "grb"}, r"--channel-order: Input should be 'rgb' or 'bgr', found 'grb'"),
        ({"stride-placement": "tf"}, r"network\.stride_placement: Input should be 'pytorch' or 'caffe', found 'tf'"),
        ({"codec": "simcc"}, r"--codec: expected one of classical, dark, udp, found 'simcc'"),
        ({"codec": "udp", "blur-kernel": "10"}, r"--blur-kernel: expected an odd number of cells, found 10"),
        ({"codec": "udp"}, r"needs what the file cannot tell: --blur-kernel \("),
        ({"blur-kernel": "11"}, r"--blur-kernel: pose_resnet_18 with codec classical has none"),
        ({"network": "pose_hrnet_w18"}, r"--stride-placement: pose_hrnet_w18 with codec classical has none"),
        ({"sigma": "0"}, r"--sigma: Input should be greater than 0, found 0\.0"),
        ({"name": "Head 3"}, r"--name: String should match pattern"),
        ({"licence-file": "absent.txt"}, r"--licence-file: absent\.txt cannot be read"),
        (
            {"option": "deconv_kernels=[2,2,2]"},
            r"3 of another shape: module\.deconv_layers\.0\.weight \(file \[512, 256",
        ),
        ({"golden": "absent.toml"}, r"golden list absent\.toml"),
    ],
)
def test_what_cannot_be_imported_is_named_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], message: str
) -> None:
    before = {path.name for path in folder.iterdir()}
    result = run(folder, monkeypatch, {**SAID, **change}, "--any-use", output="never")
    assert result.exit_code == 1, result.output
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("focalpoint: ")
    assert re.search(message, sentence), sentence
    assert {path.name for path in folder.iterdir()} == before


def test_a_graph_that_differs_from_torch_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ParityError("they differ")

    monkeypatch.setattr(bundle_writing, "onnx_graph", lambda *_: b"a graph")
    monkeypatch.setattr(bundle_writing, "check_parity", refuse)
    before = {path.name for path in folder.iterdir()}
    result = run(folder, monkeypatch, SAID, "--any-use", output="never")
    assert result.stderr == "focalpoint: they differ\n"
    assert {path.name for path in folder.iterdir()} == before
