"""The networks: a new one is a function and a line in `NETWORKS`."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import ValidationError, validate_call
from torch import nn

from model_export.errors import RecipeError
from model_export.networks.compact import compact
from model_export.networks.fpn import fpn_resnet
from model_export.networks.hrnet import pose_hrnet
from model_export.networks.simple_baseline import pose_resnet
from service.contract.bundle_manifest import describe_problems

# Bound by position, what a name fixes (depth, width) is no option of the network.
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "compact": compact,
    **{f"pose_resnet_{depth}": partial(pose_resnet, depth) for depth in (18, 34, 50, 101, 152)},
    **{f"pose_hrnet_w{width}": partial(pose_hrnet, width) for width in (18, 32, 48)},
    **{f"fpn_resnet_{depth}": partial(fpn_resnet, depth) for depth in (18, 34, 50, 101, 152)},
}


def network_options(name: str) -> dict[str, inspect.Parameter]:
    """What a network takes besides the number of keypoints: option -> parameter of its function.

    Raises:
        RecipeError: there is no network of that name.
    """
    if name not in NETWORKS:
        raise RecipeError(f"network.name: expected one of {', '.join(NETWORKS)}, found {name!r}")
    return {
        key: parameter
        for key, parameter in inspect.signature(NETWORKS[name]).parameters.items()
        if key != "keypoint_count"
    }


def build_network(name: str, keypoint_count: int, sizes: dict[str, Any]) -> nn.Module:
    """A network that maps images_N3HW (normalised) to raw maps_NKhw.

    Raises:
        RecipeError: there is no network of that name, or a size is unknown, missing or impossible.
    """
    options = network_options(name)
    for key in sizes:
        if key not in options:
            raise RecipeError(f"unknown key network.{key}: {name} takes {', '.join(sorted(options)) or 'no others'}")
    for key, option in options.items():
        if option.default is inspect.Parameter.empty and key not in sizes:
            raise RecipeError(f"missing key network.{key}: {name} takes {', '.join(sorted(options))}")
    try:
        network: nn.Module = validate_call(NETWORKS[name])(keypoint_count=keypoint_count, **sizes)
    except ValidationError as error:
        raise RecipeError(f"network.{describe_problems(error)}") from error
    return network
