"""The training loop: epochs, schedule, moving average, validation, checkpoints.

Lightning Fabric carries it: precision, devices and gradient scaling are its matter, while two networks with two
optimisers in one step stay ordinary code (Accelerate would do the same but brings a model hub's client along).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import cv2
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from model_export.adversarial_focal import Chance
from model_export.base_losses import Target, weighted_sum
from model_export.chance import draw_chance
from model_export.checkpoint_reading import Weights
from model_export.critic import Critic
from model_export.data.dataset import CropSample, TrainingCrops, ValidationCrops
from model_export.data.epoch_batches import EpochBatches
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.loading import loaded
from model_export.devices import check_whole_batch, gather_over_devices, mean_over_devices
from model_export.difficulty_history import empty_epoch
from model_export.epoch_record import EpochProgress, EpochRecord, step_moments
from model_export.heatmap_decoding import to_heatmap
from model_export.image_normalisation import normalise
from model_export.networks import build_network
from model_export.optimisers import advance, build_optimiser, build_schedule, settling_rate
from model_export.recipe import Recipe
from model_export.running_statistics import RunningStatistics
from model_export.synchronised_batch_norm import synchronise_batch_norm
from model_export.training_step import BatchPart, StepRecord, TrainingStep
from model_export.updates import CriticUpdate, NetworkUpdate
from model_export.validation import validate

StepDone = Callable[[int, int, int], None]
_VALIDATION_BATCH = 64


def build_recipe_network(recipe: Recipe) -> nn.Module:
    """The network that the recipe names, with weights drawn from torch's random state."""
    return build_network(recipe.network.name, len(recipe.keypoints.names), recipe.network.sizes)


class Trainer:
    """One run of a recipe on the devices of `fabric`; every process has its own Trainer and calls the same methods.

    `run_epoch` does one epoch; `state` and `restore` carry everything that a resume needs, also in the middle of one.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        training: Sequence[KeypointSample],
        validation: Sequence[KeypointSample],
        initial_weights: Weights | None = None,
    ):
        check_whole_batch(recipe.adversarial_focal, fabric.world_size)
        self.recipe, self.fabric = recipe, fabric
        settings = recipe.optimisation
        torch.manual_seed(recipe.seed)
        network = build_recipe_network(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.load_state_dict(initial_weights or {}, strict=False)
        moving_average = get_ema_multi_avg_fn(settings.average_decay)  # type: ignore[no-untyped-call]
        self.averaged = AveragedModel(network, fabric.device, multi_avg_fn=moving_average, use_buffers=True)
        if settings.synchronise_batch_norm and fabric.world_size > 1:
            network = synchronise_batch_norm(network, fabric.device)
        optimiser = build_optimiser(network.parameters(), settings)
        self.network, self.optimiser = fabric.setup(network, optimiser)
        # Not wrapped by Fabric: the gradient penalty differentiates twice and must stay in float32.
        self.critic = Critic().to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        afl = recipe.adversarial_focal
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), afl.critic_learning_rate, afl.critic_betas)

        crops = TrainingCrops(
            training,
            recipe.input,
            recipe.keypoint_codec,
            recipe.augmentation,
            recipe.keypoints.flip_pairs,
            recipe.seed,
            mirrored_epochs=settings.mirrored_epochs,
        )
        self.batches = EpochBatches(
            len(crops),
            settings.batch_size,
            recipe.seed,
            rank=fabric.global_rank,
            devices=fabric.world_size,
            parts=settings.accumulation,
        )
        self.loader = self._loader(crops, batch_sampler=self.batches)
        self.validation_crops = ValidationCrops(validation, recipe.input)
        self.validation_loader = self._loader(self.validation_crops, batch_size=_VALIDATION_BATCH)
        self.schedule = build_schedule(optimiser, settings, self.batches.steps_per_epoch)
        self.step = TrainingStep(
            network=self.network,
            critic=self.critic if afl.enabled else None,
            network_update=NetworkUpdate(fabric, self.network, self.optimiser, settings.gradient_clip),
            critic_update=CriticUpdate(fabric, self.critic, self.critic_optimiser),
            mean_over_devices=lambda value: mean_over_devices(fabric, value),
            without_sync=lambda held_back: fabric.no_backward_sync(self.network, enabled=held_back),
            base_loss=weighted_sum(recipe.base_losses, recipe.codec.decoding),
            codec=recipe.keypoint_codec,
            afl=afl,
        )
        self.epoch, self.progress = 0, EpochProgress()
        self.history_4S = empty_epoch(len(crops), fabric.device)  # of the epoch under way, or the last one

    def _loader(self, crops: Dataset[CropSample], **batches: Any) -> DataLoader[CropSample]:
        workers = self.recipe.optimisation.loader_workers
        if workers:
            # OpenCV would start a thread for each core in each worker; and one forked while its threads run may hang.
            cv2.setNumThreads(0)
        return DataLoader(
            crops,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # its own, so that the loader never draws from the training's random state
            **batches,
        )

    def run_epoch(self, step_done: StepDone) -> EpochRecord:
        """Train what is left of an epoch, validate where the recipe says so, and return the epoch's record.

        Args:
            step_done: called after each step with the epoch, its steps so far and all of them; may take the `state`.

        Raises:
            RunError: the loss is no longer finite.
            DataError: a picture can no longer be read.
        """
        settings, steps = self.recipe.optimisation, self.batches.steps_per_epoch
        self.batches.epoch, self.batches.first_step = self.epoch, self.progress.steps
        if not self.progress.steps:
            self.history_4S = torch.full_like(self.history_4S, torch.nan)
        self.network.train()
        constant_rate = settling_rate(settings, self.epoch)
        if constant_rate is not None:
            for group in self.optimiser.param_groups:
                group["lr"] = constant_rate
        progress = self.progress
        started = time.perf_counter()
        for parts, waited in _steps(loaded(self.loader), settings.accumulation):
            moments = self.train_batch(parts)
            progress.add(moments, self.optimiser.param_groups[0]["lr"])
            if constant_rate is None:
                advance(self.schedule)
            now = time.perf_counter()
            progress.seconds += now - started
            progress.waiting_seconds += waited
            started = now
            step_done(self.epoch, progress.steps, steps)
        progress.check(self.epoch)
        record: EpochRecord = {"epoch": self.epoch, **progress.record()}
        self.epoch, self.progress = self.epoch + 1, EpochProgress()
        if self.epoch % settings.validate_every == 0 or self.epoch == settings.epochs:
            record |= self._validate()
        return record

    def _validate(self) -> EpochRecord:
        """The first process validates; batch norm's buffers are its own where they are not synchronised."""
        if not self.fabric.is_global_zero:
            return {}
        batches = loaded(self.validation_loader)
        return validate(self.averaged, batches, self.validation_crops, self.recipe, self.fabric.device)

    def train_batch(self, parts: Sequence[CropSample]) -> torch.Tensor:
        """One step on this device's share of a batch, and the moving average brought up to it.

        Returns:
            the step's moments over all devices, see `epoch_record.step_moments`.
        """
        afl, size = self.recipe.adversarial_focal, len(parts[0]["index"])
        chances = draw_chance(
            afl,
            devices=self.fabric.world_size,
            rank=self.fabric.global_rank,
            parts=len(parts),
            size=size,
            keypoint_count=len(self.recipe.keypoints.names),
        )
        batch = [self._prepare(part, chance) for part, chance in zip(parts, chances, strict=True)]
        record = self.step(batch, weighted=self.epoch >= afl.critic_warm_up_epochs)
        self.averaged.update_parameters(self.network.module)
        self._note(parts, record)
        return mean_over_devices(self.fabric, step_moments(record))

    def _note(self, parts: Sequence[CropSample], record: StepRecord) -> None:
        """Add the step's samples, of all devices, to the epoch's score history."""
        missing = torch.cat([(~part["visible"]).sum(dim=1) for part in parts])
        index = torch.cat([part["index"] for part in parts])
        of_labels = self.fabric.to_device(torch.stack([missing, index]).double())
        columns = [record.difficulty_N, record.base_loss_N, record.error_N, *of_labels]
        gathered = gather_over_devices(self.fabric, torch.stack([column.double() for column in columns]))
        self.history_4S[:, gathered[-1].long()] = gathered[:-1].to(self.history_4S.dtype)

    def _prepare(self, part: CropSample, chance: Chance) -> BatchPart:
        codec = self.recipe.keypoint_codec
        crops, points = self.fabric.to_device(part["crop"]), part["points_in_crop"]
        images = normalise(crops, self.recipe.input.channel_order).contiguous(memory_format=torch.channels_last)
        heatmaps = torch.from_numpy(codec.encode(points.numpy()))
        target = Target(heatmaps, to_heatmap(points, codec), part["visible"])
        to_device = self.fabric.to_device
        return BatchPart(images, Target(*(to_device(values) for values in target)), to_device(chance))

    def state(self) -> dict[str, Any]:
        """Everything that a resume needs, as tensors and plain values; the same in every process."""
        with_critic = self.step.critic is not None
        return {
            "epoch": self.epoch,
            "progress": self.progress.state(),
            "network": self.network.module.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "loss_scale": self.fabric.strategy.precision.state_dict(),
            "critic": self.critic.state_dict() if with_critic else None,
            "critic_optimiser": self.critic_optimiser.state_dict() if with_critic else None,
            "statistics": asdict(self.step.statistics),
            "history": self.history_4S,
            "random_state": torch.get_rng_state(),
            "gpu_random_state": torch.cuda.get_rng_state() if self.fabric.device.type == "cuda" else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.epoch, self.progress = state["epoch"], EpochProgress.restore(state["progress"])
        self.network.module.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.fabric.strategy.precision.load_state_dict(state["loss_scale"])
        if self.step.critic is not None:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.step.statistics = RunningStatistics(**state["statistics"])
        self.history_4S = self.fabric.to_device(state["history"])
        torch.set_rng_state(state["random_state"])
        if state["gpu_random_state"] is not None and self.fabric.device.type == "cuda":
            torch.cuda.set_rng_state(state["gpu_random_state"])


def _steps(loader: Iterable[CropSample], parts_per_step: int) -> Iterator[tuple[list[CropSample], float]]:
    """The parts of each step, and the seconds that it had to wait for them."""
    parts: list[CropSample] = []
    waited, asked = 0.0, time.perf_counter()
    for part in loader:
        waited += time.perf_counter() - asked
        parts.append(part)
        if len(parts) == parts_per_step:
            yield parts, waited
            parts, waited = [], 0.0
        asked = time.perf_counter()
