"""The training loop: epochs, schedule, moving average, validation, checkpoints.

Lightning Fabric carries it: precision, devices and gradient scaling are its matter, while two networks with two
optimisers in one step stay ordinary code (Accelerate would do the same but brings a model hub's client along).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from model_export.adversarial_focal import Critic
from model_export.base_losses import Target, weighted_sum
from model_export.data.dataset import CropSample, EpochOrder, TrainingCrops, ValidationCrops
from model_export.data.keypoint_sample import KeypointSample
from model_export.heatmap_decoding import read_maps, to_crop, to_heatmap
from model_export.image_normalisation import normalise
from model_export.keypoint_metrics import failure_rate, normalised_mean_errors, point_errors
from model_export.networks import build_network
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from model_export.training_step import StepRecord, TrainingStep

EpochRecord = dict[str, Any]
BatchDone = Callable[[int, int], None]
_VALIDATION_BATCH = 64


def build_recipe_network(recipe: Recipe) -> nn.Module:
    """The network that the recipe names, with weights drawn from torch's random state."""
    return build_network(recipe.network.name, len(recipe.keypoints.names), recipe.network.sizes)


class Trainer:
    """One run of a recipe. `run_epoch` does one epoch; `state` and `restore` carry everything that a resume needs."""

    def __init__(self, recipe: Recipe, training: Sequence[KeypointSample], validation: Sequence[KeypointSample]):
        self.recipe = recipe
        settings = recipe.optimisation
        self.fabric = Fabric(accelerator="auto", devices=1, precision=settings.precision)
        torch.manual_seed(recipe.seed)
        network = build_recipe_network(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        moving_average = get_ema_multi_avg_fn(settings.average_decay)  # type: ignore[no-untyped-call]
        self.averaged = AveragedModel(network, self.fabric.device, multi_avg_fn=moving_average, use_buffers=True)
        self.network, self.optimiser = self.fabric.setup(network, optimiser)
        self.critic, self.critic_optimiser = self._build_critic()

        crops = TrainingCrops(
            training,
            recipe.input,
            recipe.augmentation,
            recipe.keypoints.flip_pairs,
            recipe.seed,
            mirrored_epochs=settings.cycle_epochs,
        )
        self.order = EpochOrder(len(crops), recipe.seed)
        self.loader = self._loader(crops, self.order, settings.batch_size)
        self.validation_loader = self._loader(ValidationCrops(validation, recipe.input), None, _VALIDATION_BATCH)
        steps = settings.cycle_epochs * len(self.loader)
        self.schedule = OneCycleLR(
            optimiser, settings.learning_rate, total_steps=steps, pct_start=settings.warm_up_share
        )
        self.step = TrainingStep(
            network=self.network,
            critic=self.critic,
            update_network=self._update_network,
            update_critic=self._update_critic,
            base_loss=weighted_sum(recipe.base_losses),
            codec=recipe.keypoint_codec,
            afl=recipe.adversarial_focal,
        )
        self.epoch = 0

    def _build_critic(self) -> tuple[Critic | None, torch.optim.Optimizer | None]:
        afl = self.recipe.adversarial_focal
        if not afl.enabled:
            return None, None
        # Not wrapped by Fabric: the gradient penalty differentiates twice and must stay in float32.
        critic = Critic().to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return critic, torch.optim.Adam(critic.parameters(), afl.critic_learning_rate, afl.critic_betas)

    def _loader(self, crops: Any, order: EpochOrder | None, batch_size: int) -> DataLoader[CropSample]:
        workers = self.recipe.optimisation.loader_workers
        return DataLoader(
            crops,
            batch_size,
            sampler=order,
            num_workers=workers,
            persistent_workers=workers > 0,
            drop_last=order is not None and len(crops) >= batch_size,
            generator=torch.Generator(),  # its own, so that the loader never draws from the training's random state
        )

    def run_epoch(self, batch_done: BatchDone) -> EpochRecord:
        """Train one epoch, validate where the recipe says so, and return the epoch's record."""
        started = time.perf_counter()
        self.order.epoch = self.epoch
        self.network.train()
        settling = self.epoch >= self.recipe.optimisation.cycle_epochs
        if settling:
            self._set_learning_rate(self.recipe.optimisation.settling_learning_rate)
        steps = []
        for done, batch in enumerate(self.loader, start=1):
            steps.append(self.train_batch(batch))
            learning_rate = self.optimiser.param_groups[0]["lr"]
            if not settling:
                self.schedule.step()
            batch_done(done, len(self.loader))
        record: EpochRecord = {"epoch": self.epoch, **_summarise(steps), "learning_rate": learning_rate}
        record["seconds"] = round(time.perf_counter() - started, 2)
        self.epoch += 1
        settings = self.recipe.optimisation
        if self.epoch % settings.validate_every == 0 or self.epoch == settings.epochs:
            record |= self.validate()
        return record

    def _set_learning_rate(self, rate: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def train_batch(self, batch: CropSample) -> StepRecord:
        """One step on a batch of training crops, and the moving average brought up to it."""
        images, target = self._prepare(batch)
        record = self.step(images, target)
        self.averaged.update_parameters(self.network.module)
        return record

    def validate(self) -> EpochRecord:
        """NME, failure rate and mean error of the averaged weights with boxes around the labels."""
        self.averaged.eval()
        found, true, visible = [], [], []
        with torch.inference_mode():
            for batch in self.validation_loader:
                crops = self.fabric.to_device(batch["crop"])
                prediction = read_maps(self.averaged(normalise(crops)), self.recipe.keypoint_codec)
                found.append(to_crop(prediction.points_in_heatmap_NK2, self.recipe.keypoint_codec).cpu().numpy())
                true.append(batch["points_in_crop"].numpy())
                visible.append(batch["visible"].numpy())
        points, labels, seen = np.concatenate(found), np.concatenate(true), np.concatenate(visible)
        settings = self.recipe.evaluation
        errors = normalised_mean_errors(points, labels, seen, settings.normaliser)
        return {
            "validation_nme": float(errors.mean()),
            "validation_failure_rate": failure_rate(errors, settings.failure_threshold),
            "validation_error_in_crop": float(np.nanmean(point_errors(points, labels, seen))),
        }

    def _prepare(self, batch: CropSample) -> tuple[torch.Tensor, Target]:
        codec = self.recipe.keypoint_codec
        crops, points = self.fabric.to_device(batch["crop"]), batch["points_in_crop"]
        images = normalise(crops).contiguous(memory_format=torch.channels_last)
        heatmaps = torch.from_numpy(codec.encode(points.numpy()))
        target = Target(heatmaps, to_heatmap(points, codec), batch["visible"])
        return images, Target(*(self.fabric.to_device(part) for part in target))

    def _update_network(self, loss: torch.Tensor) -> None:
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.network, self.optimiser, max_norm=self.recipe.optimisation.gradient_clip)
        self.optimiser.step()

    def _update_critic(self, objective: torch.Tensor) -> None:
        assert self.critic_optimiser is not None
        self.critic_optimiser.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        self.critic_optimiser.step()

    def state(self) -> dict[str, Any]:
        """Everything that a resume needs, as tensors and plain values."""
        critic = self.critic and self.critic.state_dict()
        critic_optimiser = self.critic_optimiser and self.critic_optimiser.state_dict()
        return {
            "epoch": self.epoch,
            "network": self.network.module.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "critic": critic,
            "critic_optimiser": critic_optimiser,
            "random_state": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.epoch = state["epoch"]
        self.network.module.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        if self.critic is not None and self.critic_optimiser is not None:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        torch.set_rng_state(state["random_state"])


def _summarise(steps: Sequence[StepRecord]) -> EpochRecord:
    loss = torch.cat([step.base_loss_N for step in steps]).cpu().numpy()
    score = torch.cat([step.difficulty_N for step in steps]).cpu().numpy()
    objective = torch.stack([step.critic_objective for step in steps]).mean()
    varies = score.std() > 0 and loss.std() > 0
    return {
        "base_loss": float(loss.mean()),
        "difficulty_mean": float(score.mean()),
        "difficulty_spread": float(score.std()),
        "difficulty_loss_correlation": float(np.corrcoef(score, loss)[0, 1]) if varies else 0.0,
        "critic_objective": float(objective),
    }


def train(
    recipe: Recipe,
    run: RunFolder,
    training: Sequence[KeypointSample],
    validation: Sequence[KeypointSample],
    *,
    resume: bool,
    batch_done: BatchDone,
    epoch_done: Callable[[EpochRecord], None],
) -> None:
    """Train a recipe to its last epoch, with a checkpoint after each."""
    trainer = Trainer(recipe, training, validation)
    if resume:
        trainer.restore(run.load_checkpoint())
    while trainer.epoch < recipe.optimisation.epochs:
        record = trainer.run_epoch(batch_done)
        run.append_metrics(record)
        run.save_checkpoint(trainer.state())
        epoch_done(record)
