"""Every network answers with maps at a quarter of its input; the published ones equal the public model files."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from model_export.errors import RecipeError
from model_export.networks import NETWORKS, build_network
from model_export.networks.map_size import MapSize, map_size
from tests.model_export.networks.known_weights import known_answer

PUBLIC: dict[str, Any] = tomllib.loads((Path(__file__).parent / "public_networks.toml").read_text(encoding="utf-8"))
SIZES: dict[str, dict[str, Any]] = {"compact": {"widths": [8, 8, 12, 16], "blocks": [1, 1, 1], "top_down_width": 8}}


def weightless(name: str, keypoint_count: int = 17) -> nn.Module:
    with torch.device("meta"):
        return build_network(name, keypoint_count, SIZES.get(name, {}))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_answers_at_a_quarter_of_its_input(name: str) -> None:
    assert map_size(name, 5, SIZES.get(name, {}), width=96, height=128) == MapSize(width=24, height=32, stride=4)


@pytest.mark.parametrize("name", PUBLIC["state_entries"])
def test_state_entries_are_those_of_the_public_model_file(name: str) -> None:
    expected = PUBLIC["state_entries"][name]
    network = weightless(name)
    entries = network.state_dict()
    lines = sorted(f"{key} {list(entry.shape)}" for key, entry in entries.items())
    assert len(entries) == expected["entries"]
    assert sum(parameter.numel() for parameter in network.parameters()) == expected["parameters"]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == expected["sha256"]


@pytest.mark.parametrize(
    "case", PUBLIC["answers"], ids=lambda case: " ".join([case["network"], *case["options"].values()])
)
def test_answers_are_those_of_the_public_model_file(case: dict[str, Any]) -> None:
    found = known_answer(build_network(case["network"], 17, case["options"]))
    # Measured: 5e-8, the digits kept in the file. The mean size of a cell is the last number.
    assert np.abs(np.subtract(found, case["answer"])).max() < 1e-4 * case["answer"][-1]


def test_the_fpn_reads_every_stage() -> None:
    network = build_network("fpn_resnet_18", 2, {})
    network.train()
    network(torch.rand(1, 3, 64, 64)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def spread(network: nn.Module, name: str) -> float:
    return float(network.get_parameter(name).detach().std())


def test_start_values_are_those_of_the_originals() -> None:
    torch.manual_seed(0)
    baseline, hrnet = build_network("pose_resnet_18", 17, {}), build_network("pose_hrnet_w18", 17, {})
    # N(0, 0.001) in every layer that ImageNet weights do not bring; a spread estimated from n values is 1/sqrt(2n) off.
    for network, names in (
        (baseline, ("deconv_layers.0.weight", "deconv_layers.6.weight", "final_layer.weight")),
        (hrnet, ("conv1.weight", "stage3.2.fuse_layers.0.1.0.weight", "final_layer.weight")),
    ):
        for name in names:
            assert spread(network, name) == pytest.approx(1e-3, rel=0.15), name
    # torch's own start: uniform with a third of the variance of He's.
    assert spread(baseline, "layer3.0.conv2.weight") == pytest.approx((1 / (3 * 256 * 9)) ** 0.5, rel=0.01)
    for network in (baseline, hrnet):
        assert not network.get_parameter("final_layer.bias").any()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.momentum == 0.1
                assert bool((module.weight == 1).all())
                assert not module.bias.any()


@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_each_deconvolution_kernel_doubles_the_size(kernel: int) -> None:
    options = {"deconv_kernels": [kernel] * 3}
    assert map_size("pose_resnet_18", 5, options, width=96, height=64) == MapSize(width=24, height=16, stride=4)
    with torch.device("meta"):
        assert build_network("pose_resnet_18", 5, options).get_parameter("deconv_layers.3.weight").shape[2:] == (
            kernel,
            kernel,
        )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vast", {}, "network.name: expected one of compact, pose_resnet_18, .*, found 'vast'"),
        ("pose_resnet_50", {"depth": 18}, "unknown key network.depth: pose_resnet_50 takes deconv_kernels, stride_"),
        ("pose_hrnet_w32", {"width": 18}, "unknown key network.width: pose_hrnet_w32 takes no others"),
        ("compact", {"widths": [8, 8], "blocks": [1]}, "missing key network.top_down_width: compact takes blocks,"),
        ("compact", {"widths": 8, "blocks": [1], "top_down_width": 8}, r"network\.widths: .*found 8"),
        (
            "pose_resnet_50",
            {"stride_placement": "tf"},
            r"network\.stride_placement: .*'pytorch' or 'caffe', found 'tf'",
        ),
        ("pose_resnet_18", {"stride_placement": "caffe"}, "depth 18 has no bottlenecks, so only pytorch fits it"),
        ("pose_resnet_18", {"deconv_kernels": [4, 4, 5]}, r"expected three of 4, 3, 2, found \[4, 4, 5\]"),
    ],
)
def test_a_network_that_cannot_be_built_is_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_network(name, 17, options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pose_hrnet_w18", "input: pose_hrnet_w18 cannot take images 100 high and 96 wide: "),
        ("pose_resnet_18", "images 100 high and 96 wide with maps 32 high and 24 wide, expected .* multiples of 32"),
    ],
)
def test_an_image_size_that_does_not_fit_is_named(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        map_size(name, 17, {}, width=96, height=100)
