"""Crops to the numbers of a graph's input tensor, for a whole batch at once, into an array that is used again.

N crops of H x W pixels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.model_input import CropInput

Prepared = NDArray[np.uint8] | NDArray[np.float32]

_CHANNELS = {"rgb": slice(None), "bgr": slice(None, None, -1)}


class InputPreparation:
    """What a manifest says of the input tensor, done to each batch.

    Not thread-safe: the array of the last batch is the one of the next.
    """

    def __init__(self, crop: CropInput) -> None:
        self._crop = crop
        self._as_it_is = (crop.dtype, crop.layout, crop.colour_order) == ("uint8", "NHWC", "rgb")
        self._buffer: NDArray[Any] = np.empty((0, *crop.sizes_per_crop), crop.dtype)
        # One number for each channel, where the layout has the channels.
        shape = (1, 1, 3) if crop.layout == "NHWC" else (3, 1, 1)
        self._mean = np.asarray(crop.mean or (0, 0, 0), np.float32).reshape(shape)
        self._inverse_std = (1 / np.asarray(crop.std or (1, 1, 1), np.float32)).reshape(shape)

    def __call__(self, crops_NHW3: NDArray[np.uint8]) -> Prepared:
        """The input tensor for RGB crops (N, H, W, 3), valid until the next call.

        uint8 RGB crops in this very layout are passed on without a copy.
        """
        if self._as_it_is:
            return crops_NHW3
        if len(self._buffer) < len(crops_NHW3):
            self._buffer = np.empty((len(crops_NHW3), *self._crop.sizes_per_crop), self._crop.dtype)
        tensor = self._buffer[: len(crops_NHW3)]
        ordered = crops_NHW3[..., _CHANNELS[self._crop.colour_order]]
        tensor[...] = ordered if self._crop.layout == "NHWC" else ordered.transpose(0, 3, 1, 2)
        if self._crop.dtype == "float32":
            tensor -= self._mean
            tensor *= self._inverse_std
        return tensor
