"""What a network costs: parameters, state entries and multiply-accumulates of one image.

Multiply-accumulates are those of convolutions and matrix products, without bias, normalisation and activation. A
transposed convolution is counted at the size of its output, as the public pose projects and the paper count; at the
size of its input, where it computes, SimpleBaseline-50 would have 5.05 x 2^30 instead of 8.99.
"""

from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model_export.critic import Critic
from model_export.networks import build_network

CONVENTION = (
    "multiply-accumulates of convolutions and matrix products for one input; "
    "a transposed convolution is counted at the size of its output"
)

CRITIC_NOTE = (
    "the paper's table 2 has 0.00056 x 2^30 multiply-accumulates at 17 keypoints, as here, and 0.0097 M parameters, "
    "a tenth of these: it looks like a slip, for no critic of that kind has both"
)


class NetworkCost(NamedTuple):
    """Costs of one forward pass."""

    parameters: int
    state_entries: int
    multiply_accumulates: int

    @property
    def giga(self) -> float:
        """Multiply-accumulates in units of 10^9."""
        return self.multiply_accumulates / 1e9

    @property
    def gibi(self) -> float:
        """Multiply-accumulates in units of 2^30, the GFLOPs of the public pose projects and the paper."""
        return self.multiply_accumulates / 2**30


def network_cost(name: str, keypoint_count: int, options: dict[str, Any], width: int, height: int) -> NetworkCost:
    """The cost of a network for one image of `width` x `height` pixels.

    Raises:
        RecipeError: there is no such network, or an option is wrong.
    """
    with torch.device("meta"):
        return _cost(build_network(name, keypoint_count, options), (1, 3, height, width))


def critic_cost(keypoint_count: int) -> NetworkCost:
    """The cost of the critic for the topology of one image's K keypoints, (1, 2, K, K)."""
    with torch.device("meta"):
        return _cost(Critic(), (1, 2, keypoint_count, keypoint_count))


def _cost(network: nn.Module, input_shape: tuple[int, ...]) -> NetworkCost:
    convolutions = {torch.ops.aten.convolution: _convolution_operations}
    with FlopCounterMode(display=False, custom_mapping=convolutions) as counter, torch.no_grad():
        network(torch.empty(input_shape))
    return NetworkCost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        state_entries=len(network.state_dict()),
        multiply_accumulates=counter.get_total_flops() // 2,
    )


def _convolution_operations(
    _input: list[int], weight: list[int], *_arguments: Any, out_shape: list[int], **_keywords: Any
) -> int:
    """Two operations per weight and output place, transposed or not: torch counts transposed ones at the input."""
    batch, _channels, *places = out_shape
    return 2 * batch * prod(weight) * prod(places)
