"""What AFL adds to a training step: `python -m model_export.step_cost RECIPE`.

Vanilla and AFL steps take turns in one process on the same random crops, so that a noisy machine disturbs both alike;
the ratio is that of the medians. A step is what `Trainer` does with a batch that the loader has ready.
"""

import argparse
import time
from pathlib import Path
from statistics import median

import torch

from model_export.data.dataset import CropSample
from model_export.data.synthetic import draw_samples
from model_export.devices import build_fabric
from model_export.recipe import load_recipe
from model_export.trainer import Trainer


def main() -> None:
    """Print the median time of a step of both arms and their ratio."""
    parser = argparse.ArgumentParser(description="The time that AFL adds to a training step.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--steps", type=int, default=40, help="timed steps of each arm")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    no_faces = draw_samples(recipe.optimisation.batch_size, seed=0)  # the loader is not used, but a set cannot be empty
    fabric = build_fabric(recipe.optimisation.precision)
    arms = {
        name: Trainer(fabric, arm, no_faces, no_faces)
        for name, arm in {"vanilla": recipe.without_afl(), "AFL": recipe}.items()
    }
    batch = _random_batch(
        recipe.optimisation.batch_size, len(recipe.keypoints.names), recipe.input.width, recipe.input.height
    )
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for step in range(-5, arguments.steps):  # the first ones warm up
        for name, trainer in arms.items():
            started = time.perf_counter()
            trainer.train_batch([batch]).cpu()  # what it returns is there when a GPU is done
            if step >= 0:
                seconds[name].append(time.perf_counter() - started)
    vanilla, afl = (median(seconds[name]) for name in ("vanilla", "AFL"))
    print(  # noqa: T201
        f"{recipe.optimisation.precision}, {torch.get_num_threads()} threads, batch {recipe.optimisation.batch_size}: "
        f"vanilla {vanilla * 1e3:.0f} ms, AFL {afl * 1e3:.0f} ms a step: {afl / vanilla - 1:+.1%}"
    )


def _random_batch(size: int, keypoint_count: int, width: int, height: int) -> CropSample:
    return CropSample(
        crop=torch.randint(0, 256, (size, height, width, 3), dtype=torch.uint8),
        points_in_crop=torch.rand(size, keypoint_count, 2) * torch.tensor([width, height]),
        visible=torch.ones(size, keypoint_count, dtype=torch.bool),
        index=torch.arange(size),
    )


if __name__ == "__main__":
    main()
