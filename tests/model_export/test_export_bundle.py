"""Export: the critic stays behind, onnxruntime agrees with torch, and nothing half-written is left."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from model_export import bundle_writing
from model_export.errors import RecipeError, RunError
from model_export.export_bundle import export_bundle
from model_export.export_network import DecodedNetwork, ParityError, check_parity, onnx_graph
from model_export.heatmap_decoding import read_maps
from model_export.image_normalisation import normalise
from model_export.onnx_inference import OnnxNetwork
from model_export.run_folder import RunFolder
from model_export.trainer import build_recipe_network
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.golden_images import load_golden_images
from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.keypoint_codec import KeypointCodec
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import run_recipe


@pytest.fixture
def bundle(finished_bundle: Path, tmp_path: Path) -> Path:
    """A copy of it with nothing beside it, to be replaced and spoilt."""
    return Path(shutil.copytree(finished_bundle, tmp_path / "exported" / "bundle"))


@pytest.fixture
def graph_at_hand(finished_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export of `finished_run` that takes the graph of the one before: the exporter takes seconds for the same."""
    graph = (finished_bundle / MODEL_FILE).read_bytes()
    monkeypatch.setattr(bundle_writing, "onnx_graph", lambda *_: graph)


def shape_of(graph: onnx.GraphProto) -> tuple[list[str], dict[str, list[int]], int]:
    """Operators in order, shape of each weight, number of parameters."""
    weights = {weight.name: list(weight.dims) for weight in graph.initializer}
    return [node.op_type for node in graph.node], weights, sum(int(np.prod(dims)) for dims in weights.values())


def test_the_graph_is_that_of_the_same_network_trained_without_afl(finished_bundle: Path, tmp_path: Path) -> None:
    vanilla = run_recipe(small_recipe().without_afl(), tmp_path / "vanilla")
    export_bundle(vanilla, tmp_path / "vanilla_bundle", None)
    with_afl, without = (
        onnx.load(folder / MODEL_FILE).graph for folder in (finished_bundle, tmp_path / "vanilla_bundle")
    )
    assert shape_of(with_afl) == shape_of(without)
    first, second = (
        np.concatenate(
            [onnx.numpy_helper.to_array(weight).ravel() for weight in graph.initializer if weight.data_type == 1]
        )
        for graph in (with_afl, without)
    )
    assert not np.array_equal(first, second)


def test_crops_are_normalised_channel_by_channel(finished_bundle: Path) -> None:
    """onnxruntime's broadcast over a last dimension of three takes as long as a convolution."""
    graph = onnx.load(finished_bundle / MODEL_FILE).graph
    weights = {weight.name: list(weight.dims) for weight in graph.initializer}
    first = graph.node[: [node.op_type for node in graph.node].index("Conv")]
    assert [(node.op_type, *(weights[name] for name in node.input[1:])) for node in first] == [
        ("Transpose",),
        ("Cast",),
        ("Sub", [3, 1, 1]),
        ("Div", [3, 1, 1]),
    ]


def test_a_bundle_is_whole_and_says_what_it_is(finished_bundle: Path) -> None:
    bundle = finished_bundle
    manifest = BundleManifest.load(bundle)
    manifest.verify(bundle)
    files = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert files == {*manifest.sha256, "manifest.json"}
    assert files >= {MODEL_FILE, "MODEL_CARD.md", "LICENSE", "golden/golden.json", "golden/drawn_face.png"}
    assert [figure.metric for figure in manifest.accuracy] == [
        "NME",
        "FR@0.1",
        "AUC@0.1",
        "PCK@0.05",
        "EPE",
    ]
    assert manifest.training["adversarial_focal_loss"] is True
    assert len(load_golden_images(bundle)) == 1
    assert "boxes around the labels" in (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert not list(bundle.parent.glob(".bundle*"))


def test_the_graph_is_that_of_the_averaged_weights(finished_run: RunFolder, finished_bundle: Path) -> None:
    recipe, state = finished_run.recipe(), finished_run.load_checkpoint()
    averaged = {key.removeprefix("module."): value for key, value in state["averaged"].items() if key != "n_averaged"}
    crops = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    exported = OnnxNetwork(finished_bundle / MODEL_FILE).run(crops).heatmaps_NKhw

    def heatmaps_of(weights: dict[str, torch.Tensor]) -> NDArray[np.float32]:
        network = build_recipe_network(recipe)
        network.load_state_dict(weights)
        with torch.inference_mode():
            maps = network.eval()(normalise(torch.from_numpy(crops), recipe.input.channel_order))
            return read_maps(maps, recipe.keypoint_codec).heatmaps_NKhw.numpy()

    # Measured: 9e-9 and 6e-3.
    assert np.abs(exported - heatmaps_of(averaged)).max() < 1e-6
    assert np.abs(exported - heatmaps_of(state["network"])).max() > 1e-3


def test_the_graphs_own_decoding_is_the_contracts(finished_bundle: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    found = OnnxNetwork(finished_bundle / MODEL_FILE).run(crops)
    points, scores = BundleManifest.load(finished_bundle).codec.decode(found.heatmaps_NKhw)
    # Measured: 2e-5 px.
    assert np.abs(found.points_in_crop_NK2 - points).max() < 1e-3
    assert np.array_equal(found.scores_NK, scores)


class Gaussians(nn.Module):
    """Answers blurred bright spots: a network for the `peak` decoding that needs no training."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, images_N3HW: torch.Tensor) -> torch.Tensor:
        smooth = nn.functional.avg_pool2d(images_N3HW, 8, stride=4, padding=4)[..., :16, :16]
        return torch.sigmoid(self.gain * smooth)


@pytest.mark.parametrize("decoding", ["peak", "soft_argmax"])
def test_onnxruntime_agrees_with_torch_for_both_decodings(tmp_path: Path, decoding: HeatmapDecoding) -> None:
    decoded = DecodedNetwork(Gaussians(), KeypointCodec(16, 16, 4, 1.0, decoding))
    (tmp_path / "a.onnx").write_bytes(onnx_graph(decoded, 64, 64))
    crops = np.random.default_rng(1).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    parity = check_parity(decoded, tmp_path / "a.onnx", crops)
    # Measured: heatmaps 1e-7, points 6e-5 px, no ties.
    assert parity.tie_share < 0.2


def test_a_graph_with_other_weights_is_refused(tmp_path: Path) -> None:
    codec = KeypointCodec(16, 16, 4, 1.0, "soft_argmax")
    (tmp_path / "a.onnx").write_bytes(onnx_graph(DecodedNetwork(Gaussians(2.0), codec), 64, 64))
    crops = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with pytest.raises(ParityError, match=r"onnxruntime and torch differ by .* no bundle is written"):
        check_parity(DecodedNetwork(Gaussians(1.0), codec), tmp_path / "a.onnx", crops)


def test_an_unfinished_run_is_not_exported(finished_run: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(finished_run.path, tmp_path / "run")))
    state = run.load_checkpoint()
    run.save_checkpoint(state | {"epoch": 1})
    with pytest.raises(RunError, match="has done 1 of 2 epochs: resume it first"):
        export_bundle(run, tmp_path / "bundle", None)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.usefixtures("graph_at_hand")
def test_a_failed_export_leaves_the_old_bundle_and_no_trace(
    finished_run: RunFolder, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (bundle / "manifest.json").read_bytes()

    def refuse(*_: object) -> None:
        raise ParityError("they differ")

    monkeypatch.setattr(bundle_writing, "check_parity", refuse)
    with pytest.raises(ParityError):
        export_bundle(finished_run, bundle, None)
    assert (bundle / "manifest.json").read_bytes() == before
    BundleManifest.load(bundle).verify(bundle)
    assert not list(bundle.parent.glob(".bundle*"))


@pytest.mark.usefixtures("graph_at_hand")
def test_only_a_bundle_with_nothing_beside_it_is_replaced(
    finished_run: RunFolder, bundle: Path, tmp_path: Path
) -> None:
    """A browser's extension has a manifest.json too, and a bundle folder may hold somebody's notes."""
    letters, extension, noted = tmp_path / "letters", tmp_path / "extension", tmp_path / "noted"
    for folder in (letters, extension):
        folder.mkdir()
        (folder / "dear.txt").write_text("keep me", encoding="utf-8")
    (extension / "manifest.json").write_text('{"manifest_version": 3}', encoding="utf-8")
    shutil.copytree(bundle, noted)
    (noted / "golden" / "dear.txt").write_text("keep me", encoding="utf-8")
    for folder, message in (
        (letters, "letters is there and is no bundle: it is not replaced"),
        (extension, "extension is there and is no bundle: it is not replaced"),
        (noted, r"noted holds golden/dear\.txt, which is no part of the bundle there: it is not replaced"),
    ):
        with pytest.raises(RunError, match=message):
            export_bundle(finished_run, folder, None)
        assert next(folder.rglob("dear.txt")).read_text(encoding="utf-8") == "keep me"
    (noted / "golden" / "dear.txt").unlink()
    export_bundle(finished_run, noted, None)
    BundleManifest.load(noted).verify(noted)


TWO_OF_A_NAME = ("p/face.png", "q/face.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"golden\.toml: .*No such file"),
        ("[[image]]\npath = 'a.png'\n", r"golden\.toml: .*source"),
        ("[[image]]\npath = 'a.png'\nsource = 'drawn'\nbox = [0, 0, 9, 9]\n", r"the picture .*a\.png"),
        ("nothing = 1\n", r"golden\.toml: expected at least one \[\[image\]\]"),
        ("[[image]]\npath = 'a.png'\nsource = 'drawn'\nbox = [0, 0, 0, 9]\n", r"golden\.toml: box: .*above zero"),
        (
            "".join(f"[[image]]\npath = '{path}'\nsource = 'drawn'\nbox = [0, 0, 9, 9]\n" for path in TWO_OF_A_NAME),
            r"golden\.toml: expected pictures with file names of their own, found 2 called face\.png",
        ),
    ],
)
def test_a_golden_list_that_cannot_be_used_is_named(
    finished_run: RunFolder, tmp_path: Path, text: str | None, message: str
) -> None:
    for name in TWO_OF_A_NAME:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    if text is not None:
        (tmp_path / "golden.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=message):
        export_bundle(finished_run, tmp_path / "bundle", tmp_path / "golden.toml")
    assert not (tmp_path / "bundle").exists()
