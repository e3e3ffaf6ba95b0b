"""Arms of one seed start from the same weights and see the same crops in the same order; another seed does not."""

import hashlib

import pytest
import torch

from model_export.comparison.arms import parse_arm, plan_arms
from model_export.data.dataset import CropSample
from model_export.recipe import Recipe
from model_export.trainer import Trainer
from tests.model_export.recipes import shipped_recipe_path
from tests.model_export.runs import build_trainer

SMALL = [
    "data.train_count=20",
    "data.validation_count=2",
    "network.widths=[8, 8, 12, 16]",
    "optimisation.epochs=2",
    "optimisation.batch_size=8",
    "optimisation.validate_every=2",
]
ARMS = [
    "printed=adversarial_focal.form=as_printed",
    "shuffled=adversarial_focal.control=shuffled",
    "halves=adversarial_focal.true_side=better_half",
    "jittered=adversarial_focal.true_side=jittered_labels,adversarial_focal.acts_per=keypoint",
    "mse=base_losses.soft_argmax_l1=2.0",
]


def seen_by(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[list[int]], str]:
    """The weights that a run starts from, the samples of each batch, and all pixels, labels and visibilities."""
    trainer = build_trainer(recipe)
    weights = hashlib.sha256(b"".join(value.numpy().tobytes() for value in trainer.network.state_dict().values()))
    batches: list[list[int]] = []
    crops = hashlib.sha256()
    train_batch = Trainer.train_batch

    def recording(self: Trainer, parts: list[CropSample]) -> torch.Tensor:
        batches.extend(part["index"].tolist() for part in parts)
        for part in parts:
            for value in (part["crop"], part["points_in_crop"], part["visible"]):
                crops.update(value.numpy().tobytes())
        return train_batch(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_batch", recording)
        while trainer.epoch < recipe.optimisation.epochs:
            trainer.run_epoch(lambda *_: None)
    return weights.hexdigest(), batches, crops.hexdigest()


def test_all_arms_of_a_seed_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan_arms(shipped_recipe_path("drawn_faces"), SMALL, [parse_arm(text) for text in ARMS])
    seen = [seen_by(recipe, monkeypatch) for recipe in planned.values()]
    _, batches, _ = seen[0]
    assert [len(batch) for batch in batches] == [8] * 4
    assert batches[:2] != batches[2:]  # each epoch has its own order
    assert all(of_arm == seen[0] for of_arm in seen[1:])

    other = next(iter(planned.values())).model_copy(update={"seed": 1})
    assert all(one != another for one, another in zip(seen_by(other, monkeypatch), seen[0], strict=True))
