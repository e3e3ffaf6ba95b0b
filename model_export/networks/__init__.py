"""The networks: a new one is a function and a line in `NETWORKS`."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from model_export.errors import RecipeError
from model_export.networks.compact import compact

NETWORKS: dict[str, Callable[..., nn.Module]] = {"compact": compact}


def build_network(name: str, keypoint_count: int, sizes: dict[str, Any]) -> nn.Module:
    """A network that maps images_N3HW (normalised RGB) to raw maps_NKhw.

    Raises:
        RecipeError: there is no network of that name, or it does not take one of the sizes.
    """
    if name not in NETWORKS:
        raise RecipeError(f"network.name: expected one of {', '.join(NETWORKS)}, found {name!r}")
    accepted = inspect.signature(NETWORKS[name]).parameters.keys() - {"keypoint_count"}
    for key in sizes:
        if key not in accepted:
            raise RecipeError(f"unknown key network.{key}: {name} takes {', '.join(sorted(accepted))}")
    return NETWORKS[name](keypoint_count=keypoint_count, **sizes)
