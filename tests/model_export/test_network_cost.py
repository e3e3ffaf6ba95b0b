"""Parameters and multiply-accumulates: those of the papers and of the public counters."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from model_export.network_cost import critic_cost, network_cost
from service.cli import build_command_line


@pytest.mark.parametrize(
    ("name", "keypoint_count", "width", "height", "parameters", "gibi"),
    [
        ("pose_resnet_50", 17, 192, 256, 33_999_697, 8.99),
        ("pose_resnet_50", 16, 256, 256, 33_999_440, 11.99),
        ("pose_resnet_152", 17, 288, 384, 68_635_473, 35.47),
        ("pose_hrnet_w32", 17, 192, 256, 28_536_113, 7.12),
        ("pose_hrnet_w48", 17, 288, 384, 63_595_745, 32.88),
    ],
)
def test_costs_are_the_published_ones(
    name: str, keypoint_count: int, width: int, height: int, parameters: int, gibi: float
) -> None:
    cost = network_cost(name, keypoint_count, {}, width, height)
    assert cost.parameters == parameters
    assert round(cost.gibi, 2) == gibi


def test_one_convolution_and_one_transposed_convolution_counted_by_hand() -> None:
    """The kernel of a transposed convolution alone changes SimpleBaseline's cost: weights times output cells each."""
    four, two = (network_cost("pose_resnet_18", 1, {"deconv_kernels": [k] * 3}, 64, 64) for k in (4, 2))
    by_hand = sum(inputs * 256 * (16 - 4) * side**2 for inputs, side in ((512, 4), (256, 8), (256, 16)))
    assert four.multiply_accumulates - two.multiply_accumulates == by_hand
    three, one = (network_cost("pose_resnet_18", K, {}, 64, 64) for K in (3, 1))
    assert three.multiply_accumulates - one.multiply_accumulates == 2 * 256 * 16 * 16
    assert three.parameters - one.parameters == 2 * 257


def test_the_critic_is_that_of_the_paper() -> None:
    cost = critic_cost(17)
    assert round(cost.gibi, 5) == 0.00056  # table 2
    assert cost.multiply_accumulates == 2 * 16 * 9 * 81 + 16 * 32 * 9 * 25 + 32 * 64 * 9 * 9 + 64 * 128 * 9 * 4 + 128
    assert cost.parameters == 97_425  # 0.097 M; the table's 0.0097 M fits no such stack
    assert {critic_cost(count).parameters for count in (4, 36, 133)} == {cost.parameters}


def describe(*arguments: str) -> Any:
    return CliRunner().invoke(build_command_line(), ["describe", *arguments])


def test_the_command_prints_both_conventions() -> None:
    result = describe("pose_hrnet_w32", "--keypoints", "17", "--input", "256x192", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["output"] == {"height": 64, "width": 48, "stride": 4}
    assert (answer["parameters"], answer["state_entries"]) == (28_536_113, 1754)
    assert round(answer["multiply_accumulates_2_30"], 2) == 7.12
    assert round(answer["multiply_accumulates_1e9"], 3) == 7.645
    assert round(answer["critic"]["multiply_accumulates_2_30"], 5) == 0.00056
    assert "0.0097 M parameters" in answer["critic"]["note"]
    assert "transposed convolution is counted at the size of its output" in answer["convention"]
    text = describe("pose_hrnet_w32", "--keypoints", "17", "--input", "256x192").stdout
    assert "97,425 parameters, 10 state entries, 599,456 multiply-accumulates = " in text
    assert "0.0005583 x 2^30" in text
    assert "0.0097 M parameters" in text
    assert (
        "28,536,113 parameters, 1754 state entries, 7,645,003,776 multiply-accumulates = 7.645 x 1e9 = 7.12 x" in text
    )


def test_the_command_takes_a_networks_own_sizes() -> None:
    sizes = ("widths=[8, 8, 12]", "blocks=[1, 1]", "top_down_width=8")
    options = [word for size in sizes for word in ("--option", size)]
    result = describe("compact", "--keypoints", "5", "--input", "64x64", *options, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["options"] == {"widths": [8, 8, 12], "blocks": [1, 1], "top_down_width": 8}
    caffe, pytorch = (
        json.loads(
            describe(
                "pose_resnet_50", "--keypoints", "5", "--input", "64x64", "--option", f"stride_placement={at}", "--json"
            ).stdout
        )
        for at in ("caffe", "pytorch")
    )
    assert caffe["parameters"] == pytorch["parameters"]
    assert caffe["multiply_accumulates"] < pytorch["multiply_accumulates"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vast", "--input", "64x64"), "network.name: expected one of compact, "),
        (("compact", "--input", "64x64"), "missing key network.widths: compact takes blocks, top_down_width, widths"),
        (("pose_hrnet_w32", "--input", "64"), "--input: expected HEIGHTxWIDTH in pixels, such as 256x192, found '64'"),
        (("pose_hrnet_w32", "--input", "64x48"), "input: pose_hrnet_w32 cannot take images 64 high and 48 wide: "),
        (("pose_resnet_50", "--input", "64x64", "--option", "x"), "--option: expected KEY=VALUE, found 'x'"),
        (("pose_resnet_50", "--input", "64x64", "--option", "x=["), "--option x: expected a value as in a recipe, fo"),
        (("pose_resnet_50", "--input", "64x64", *["--option", "x=1"] * 2), "--option: x is given twice"),
    ],
)
def test_the_command_names_what_is_wrong(arguments: tuple[str, ...], message: str) -> None:
    result = describe(*arguments, "--keypoints", "5")
    assert result.exit_code == 1
    assert result.stderr.removeprefix("focalpoint: ").startswith(message)
    assert len(result.stderr.splitlines()) == 1
