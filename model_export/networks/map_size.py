"""The size of the maps that a network answers with, found without computing them."""

from typing import Any, NamedTuple

import torch

from model_export.errors import RecipeError
from model_export.networks import build_network


class MapSize(NamedTuple):
    """Cells of a map, and input pixels per cell."""

    width: int
    height: int
    stride: int


def map_size(name: str, keypoint_count: int, options: dict[str, Any], width: int, height: int) -> MapSize:
    """What a network makes of images of `width` x `height` pixels.

    Raises:
        RecipeError: there is no such network, or it does not answer images of that size with maps of one stride.
    """
    with torch.device("meta"), torch.no_grad():  # shapes without numbers
        network = build_network(name, keypoint_count, options)
        try:
            maps_NKhw = network(torch.empty(1, 3, height, width))
        except RuntimeError as error:  # two maps that should be added have different sizes
            first_line = str(error).partition("\n")[0]
            raise RecipeError(
                f"input: {name} cannot take images {height} high and {width} wide: {first_line}"
            ) from error
    map_height, map_width = maps_NKhw.shape[2:]
    stride = height // map_height
    if (map_width * stride, map_height * stride) != (width, height):
        raise RecipeError(
            f"input: {name} answers images {height} high and {width} wide with maps {map_height} high and {map_width} "
            f"wide, expected sides that divide the image's alike: take multiples of 32"
        )
    return MapSize(map_width, map_height, stride)
