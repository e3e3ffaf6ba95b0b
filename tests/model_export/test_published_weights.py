"""Weights of other projects: prefixes are stripped, and whatever has no counterpart is named, on both sides."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from model_export.errors import WeightsError
from model_export.networks import build_network
from model_export.published_weights import load_published_weights, match_initial_weights, match_weights
from tests.model_export.networks.known_weights import known_images, with_known_weights

Rename = Callable[[str], str]


def backbone_and(head: str) -> Rename:
    return lambda key: (head if key.startswith(("deconv_layers", "final_layer")) else "backbone.") + key


def mmpose_with_wrapped_last_layer(key: str) -> str:
    return backbone_and("keypoint_head.")(key.replace("final_layer.", "final_layer.0."))


@pytest.fixture(scope="module")
def published() -> nn.Module:
    return with_known_weights(build_network("pose_resnet_18", 5, {}))


@pytest.mark.parametrize(
    "rename",
    [
        lambda key: key,
        lambda key: f"module.{key}",
        lambda key: f"module.module.{key}",
        backbone_and("head."),
        backbone_and("keypoint_head."),
        mmpose_with_wrapped_last_layer,
        lambda key: f"module.{backbone_and('head.')(key)}",
    ],
    ids=["bare", "DataParallel", "twice", "mmpose 1", "mmpose 0", "mmpose 0, wrapped", "mmpose 1 in DataParallel"],
)
def test_prefixes_are_stripped(published: nn.Module, tmp_path: Path, rename: Rename) -> None:
    torch.save({"state_dict": {rename(key): entry for key, entry in published.state_dict().items()}}, tmp_path / "a")
    network = build_network("pose_resnet_18", 5, {}).eval()
    load_published_weights(network, tmp_path / "a")
    with torch.inference_mode():
        expected = published(known_images(64, 64))
        assert expected.std() > 0.1
        assert torch.equal(network(known_images(64, 64)), expected)


def test_files_from_before_batch_norm_counted_fit(published: nn.Module, tmp_path: Path) -> None:
    state = {key: entry for key, entry in published.state_dict().items() if "num_batches" not in key}
    assert len(state) < len(published.state_dict())
    torch.save(state, tmp_path / "a")
    load_published_weights(build_network("pose_resnet_18", 5, {}), tmp_path / "a")


def test_a_networks_own_head_is_not_taken_for_a_prefix(tmp_path: Path) -> None:
    network = build_network("fpn_resnet_18", 5, {})
    torch.save(network.state_dict(), tmp_path / "a")
    load_published_weights(build_network("fpn_resnet_18", 5, {}), tmp_path / "a")


def test_every_entry_without_counterpart_is_named_on_both_sides(published: nn.Module, tmp_path: Path) -> None:
    state = dict(published.state_dict())
    for key in ("bn1.weight", "layer1.0.conv1.weight"):
        del state[key]
    state |= {"fc.weight": torch.ones(3), "fc.bias": torch.ones(3), "final_layer.bias": torch.ones(17)}
    torch.save(state, tmp_path / "a")
    network = build_network("pose_resnet_18", 5, {})
    before = {key: entry.clone() for key, entry in network.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_published_weights(network, tmp_path / "a")
    assert str(caught.value) == (
        f"checkpoint {tmp_path / 'a'} does not fit the network: 2 not in the file: bn1.weight, layer1.0.conv1.weight; "
        "2 not in the network: fc.weight, fc.bias; "
        "1 of another shape: final_layer.bias (file [17], network [5])"
    )
    assert all(torch.equal(entry, before[key]) for key, entry in network.state_dict().items())


def test_another_depth_names_all_of_it(published: nn.Module, tmp_path: Path) -> None:
    with torch.device("meta"):
        deeper = build_network("pose_resnet_34", 5, {})
    torch.save(published.state_dict(), tmp_path / "a")
    with pytest.raises(WeightsError) as caught:
        load_published_weights(deeper, tmp_path / "a")
    absent = set(deeper.state_dict()) - set(published.state_dict())
    named = set(str(caught.value).partition(" not in the file: ")[2].split(", "))
    assert named == {key for key in absent if "num_batches" not in key}
    assert len(named) == 80


def test_one_entry_from_two_places_is_refused() -> None:
    entries = {"conv1.weight": torch.ones(2)}
    with pytest.raises(WeightsError, match=r"conv1\.weight and backbone\.conv1\.weight are both conv1\.weight of the"):
        match_weights({**entries, "backbone.conv1.weight": torch.ones(2)}, entries, Path("a.pth"))


def test_an_imagenet_backbone_starts_a_network(published: nn.Module, tmp_path: Path) -> None:
    """torchvision's file: the residual network and a classifier; the head of the pose network stays as drawn."""
    state = {key: entry for key, entry in published.state_dict().items() if key.startswith(("conv1", "bn1", "layer"))}
    torch.save({**state, "fc.weight": torch.ones(1000, 512), "fc.bias": torch.ones(1000)}, tmp_path / "a")
    match = match_initial_weights(build_network("pose_resnet_18", 5, {}), tmp_path / "a")
    assert match.weights.keys() == state.keys()
    assert match.unexpected == ("fc.weight", "fc.bias")
    assert match.misshapen == ()
    assert {name.partition(".")[0] for name in match.missing} == {"deconv_layers", "final_layer"}
    assert "2 not in the network: fc.weight, fc.bias" in match.describe_rest()


def test_hrnets_imagenet_file_holds_more_than_the_pose_network(tmp_path: Path) -> None:
    with torch.device("meta"):
        network = build_network("pose_hrnet_w18", 17, {})
    state = {
        key: torch.ones(entry.shape, dtype=entry.dtype)
        for key, entry in network.state_dict().items()
        if not key.startswith("final_layer")
    }
    more = ("incre_modules.0.0.conv1.weight", "stage4.2.fuse_layers.1.0.0.0.weight", "classifier.weight")
    torch.save({**state, **{key: torch.ones(1) for key in more}}, tmp_path / "a")
    match = match_initial_weights(network, tmp_path / "a")
    assert match.weights.keys() == state.keys()
    assert match.unexpected == more
    assert match.missing == ("final_layer.weight", "final_layer.bias")


def test_pose_weights_for_other_keypoints_start_a_network(published: nn.Module, tmp_path: Path) -> None:
    torch.save(published.state_dict(), tmp_path / "a")
    match = match_initial_weights(build_network("pose_resnet_18", 16, {}), tmp_path / "a")
    assert match.misshapen == (
        "final_layer.weight (file [5, 256, 1, 1], network [16, 256, 1, 1])",
        "final_layer.bias (file [5], network [16])",
    )


def test_a_file_of_which_nothing_fits_is_an_error(tmp_path: Path) -> None:
    torch.save({"blocks.0.qkv.weight": torch.ones(3), "bn1.num_batches_tracked": torch.tensor(1)}, tmp_path / "a")
    with pytest.raises(WeightsError, match=r"none of its entries fits .* 1 not in the network: blocks\.0\.qkv\.weight"):
        match_initial_weights(build_network("pose_resnet_18", 5, {}), tmp_path / "a")
