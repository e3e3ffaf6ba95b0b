"""scikit-learn's digits: 1,797 pictures of handwritten digits, 8 x 8 pixels of 17 grey levels, ten classes."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

CLASSES = 10
_GREATEST = 16.0  # grey level


class LabelledDigits(NamedTuple):
    """Pictures in [0, 1] and the digits that they show."""

    images_N1hw: torch.Tensor
    classes_N: torch.Tensor


class Digits(NamedTuple):
    """Both halves of the set."""

    training: LabelledDigits
    test: LabelledDigits


def load_halves(imbalance: float = 1.0) -> Digits:
    """The first half to train on, the second to test on, as in scikit-learn's own example: the order is the writers'.

    Args:
        imbalance: how many times more training pictures the commonest digit, 0, keeps than the rarest, 9; between them
            the numbers fall by the same factor from digit to digit, as in the long-tailed variants of CIFAR (Cui et al.
            2019, section 5.1). The test half keeps all.
    """
    pictures, classes = load_digits(return_X_y=True)
    images = (pictures.reshape(-1, 1, 8, 8) / _GREATEST).astype(np.float32)
    half = len(images) // 2
    kept = _long_tailed(classes[:half], imbalance)
    return Digits(_labelled(images[:half][kept], classes[:half][kept]), _labelled(images[half:], classes[half:]))


def _long_tailed(classes: NDArray[np.int64], imbalance: float) -> NDArray[np.int64]:
    """The places of the first pictures of each digit, fewer from digit to digit, in their order."""
    kept = []
    for digit in range(CLASSES):
        places = np.flatnonzero(classes == digit)
        kept.append(places[: max(1, round(len(places) * imbalance ** (-digit / (CLASSES - 1))))])
    return np.sort(np.concatenate(kept))


def _labelled(images: NDArray[np.float32], classes: NDArray[np.int64]) -> LabelledDigits:
    return LabelledDigits(torch.from_numpy(images), torch.from_numpy(classes.astype(np.int64)))
