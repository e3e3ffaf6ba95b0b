"""The input tensor, compared with the same written down pixel by pixel."""

import itertools

import numpy as np
import pytest

from service.contract.model_input import CropInput
from service.input_preparation import InputPreparation

RANDOM = np.random.default_rng(3)
CROPS = RANDOM.integers(0, 256, (5, 6, 4, 3), dtype=np.uint8)
MEAN, STD = (120.0, 110.0, 100.0), (60.0, 55.0, 50.0)


@pytest.mark.parametrize(
    ("dtype", "layout", "colour_order"), [*itertools.product(("uint8", "float32"), ("NHWC", "NCHW"), ("rgb", "bgr"))]
)
def test_every_layout_is_what_it_says(dtype: str, layout: str, colour_order: str) -> None:
    normalisation = {"mean": MEAN, "std": STD} if dtype == "float32" else {}
    values = {"width": 4, "height": 6, "padding": 1.0, "dtype": dtype, "layout": layout, "colour_order": colour_order}
    crop = CropInput.model_validate(values | normalisation)
    prepare = InputPreparation(crop)
    for count in (2, 5, 1):  # the array grows, and a smaller batch has its front
        tensor = prepare(CROPS[:count])
        assert tensor.shape == (count, *crop.sizes_per_crop)
        assert tensor.dtype == dtype
        for n, y, x, channel in itertools.product(range(count), range(6), range(4), range(3)):
            colour = channel if colour_order == "rgb" else 2 - channel
            expected = float(CROPS[n, y, x, colour])
            if dtype == "float32":
                expected = (expected - MEAN[channel]) / STD[channel]  # of the tensor's channels, whatever their colour
            found = tensor[n, y, x, channel] if layout == "NHWC" else tensor[n, channel, y, x]
            assert abs(found - expected) < 1e-6  # measured: 2e-7


def test_our_own_input_is_not_copied_and_another_is_written_into_one_array() -> None:
    ours = InputPreparation(CropInput(width=4, height=6, padding=1.0))
    assert ours(CROPS) is CROPS
    crop = CropInput(width=4, height=6, padding=1.0, dtype="float32", layout="NCHW", mean=MEAN, std=STD)
    prepare = InputPreparation(crop)
    largest = prepare(CROPS)
    assert np.shares_memory(largest, prepare(CROPS[:2]))
