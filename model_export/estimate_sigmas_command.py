"""`focalpoint estimate-sigmas`: the `sigmas` line of a skeleton, from objects that were labelled twice."""

from pathlib import Path

import numpy as np
from rich.console import Console

from model_export.data.readers import READERS, read_samples
from model_export.errors import RecipeError
from model_export.oks_sigmas import estimate_sigmas
from model_export.skeleton import load_skeleton


def run_estimate(data_format: str, first: Path, second: Path, skeleton: str, *, second_is_truth: bool) -> None:
    """Read two annotation files of the same pictures and print the sigmas, with what they rest on.

    Raises:
        TrainingInputError: a file or the skeleton cannot be used, or no object stands in both.
    """
    if data_format not in READERS:
        raise RecipeError(f"--format: expected one of {', '.join(READERS)}, found {data_format!r}")
    names = load_skeleton(skeleton, Path()).names
    one, other = (read_samples(data_format, path, path.parent, len(names)).samples for path in (first, second))
    result = estimate_sigmas(one, other, second_is_truth=second_is_truth)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{result.objects} objects in both files")
    for name, count in zip(names, result.counts_K.tolist(), strict=True):
        if count == 0:
            console.print(f"{name}: in no object of both, so nan below; put a number there")
    numbers = ", ".join("nan" if np.isnan(sigma) else f"{sigma:.3g}" for sigma in result.sigmas_K)
    console.print(f"sigmas = [{numbers}]")
