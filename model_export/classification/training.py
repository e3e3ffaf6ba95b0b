"""Algorithm 2 on classification: one run of one arm. N samples of a batch, C classes, S test samples."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from model_export.adversarial_focal import difficulty
from model_export.classification.arms import ClassificationArm
from model_export.classification.digits import CLASSES, Digits, LabelledDigits
from model_export.classification.losses import classification_loss
from model_export.classification.probability_critic import ProbabilityCritic
from model_export.critic import criticise
from model_export.weight_controls import CONTROLS

BATCH_SIZE = 64
_LEARNING_RATE, _MOMENTUM, _WEIGHT_DECAY = 0.05, 0.9, 5e-4  # SGD with Nesterov's momentum and a cosine, as WRNs train
_CRITIC_LEARNING_RATE, _CRITIC_BETAS, _GRADIENT_PENALTY = 2e-4, (0.5, 0.999), 10.0


class Answers(NamedTuple):
    """Of each test sample (S,): whether the likeliest class is the true one, and the cross entropy in nats.

    And of each epoch (E,): the mean difficulty, and its correlation with the cross entropy within batches.
    """

    correct_S: NDArray[np.bool_]
    cross_entropy_S: NDArray[np.float64]
    difficulty_E: NDArray[np.float64]
    correlation_E: NDArray[np.float64]


class StepRecord(NamedTuple):
    """Cross entropy and difficulty of each sample of a step (N,)."""

    cross_entropy_N: torch.Tensor
    difficulty_N: torch.Tensor


class Classifier(NamedTuple):
    """f and d, each with its optimiser."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    critic: ProbabilityCritic
    critic_optimiser: torch.optim.Optimizer


def build_classifier() -> Classifier:
    """Three convolutions of 32, 64 and 64 with batch norm, mean and a linear layer; and the critic, drawn after it."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((1, 32, 1), (32, 64, 2), (64, 64, 2)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES))
    optimiser = torch.optim.SGD(
        network.parameters(), _LEARNING_RATE, _MOMENTUM, weight_decay=_WEIGHT_DECAY, nesterov=True
    )
    critic = ProbabilityCritic(CLASSES)
    return Classifier(
        network, optimiser, critic, torch.optim.Adam(critic.parameters(), _CRITIC_LEARNING_RATE, _CRITIC_BETAS)
    )


def train_arm(digits: Digits, arm: ClassificationArm, seed: int, epochs: int) -> Answers:
    """Train and test one arm; arms of a seed start from the same weights and see the same batches in the same order."""
    torch.manual_seed(seed)
    classifier = build_classifier()
    order = torch.Generator().manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)  # its own: arms that draw more must not disturb the order
    steps = len(digits.training.classes_N) // BATCH_SIZE
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(classifier.optimiser, epochs * steps)
    difficulties, correlations = [], []
    for _ in range(epochs):
        batches = torch.randperm(len(digits.training.classes_N), generator=order)[: steps * BATCH_SIZE]
        records = []
        for places in batches.view(steps, BATCH_SIZE):
            batch = LabelledDigits(*(values[places] for values in digits.training))
            records.append(train_batch(classifier, batch, arm, chance))
            schedule.step()
        difficulties.append(float(torch.cat([record.difficulty_N for record in records]).mean()))
        correlations.append(_correlation_within_batches(records))
    return Answers(*_test(classifier.network, digits.test), np.array(difficulties), np.array(correlations))


def train_batch(
    classifier: Classifier, batch: LabelledDigits, arm: ClassificationArm, chance: torch.Generator
) -> StepRecord:
    """One step: f with respect to difficulty times loss, d with respect to its own objective."""
    logits_NC = classifier.network(batch.images_N1hw)
    loss_N = classification_loss(logits_NC, batch.classes_N, arm.gamma)
    weight_N = difficulty_N = torch.ones_like(loss_N)
    if arm.adversarial:
        mixing_N, lots_N = torch.rand(2, len(loss_N), generator=chance)
        true_NC = functional.one_hot(batch.classes_N, CLASSES).float()
        output = criticise(classifier.critic, true_NC, logits_NC.softmax(dim=1), mixing_N, _GRADIENT_PENALTY)
        difficulty_N = difficulty(output.predicted_quality_N)
        weight_N = CONTROLS[arm.control](difficulty_N, loss_N.detach(), lots_N)
        _update(classifier.critic_optimiser, output.objective)
    _update(classifier.optimiser, (weight_N * loss_N).mean())
    return StepRecord(functional.cross_entropy(logits_NC.detach(), batch.classes_N, reduction="none"), difficulty_N)


def _update(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _correlation_within_batches(records: list[StepRecord]) -> float:
    """Pearson's, of values centred on their batch's mean, where the one weighs the other; 0 where one is constant."""
    loss, score = (torch.cat([values - values.mean() for values in column]) for column in zip(*records, strict=True))
    spread = loss.norm() * score.norm()
    return float(loss @ score / spread) if spread > 0 else 0.0


def _test(network: nn.Module, test: LabelledDigits) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    network.eval()
    with torch.inference_mode():
        logits_SC = network(test.images_N1hw)
    correct_S = logits_SC.argmax(dim=1) == test.classes_N
    cross_entropy_S = functional.cross_entropy(logits_SC, test.classes_N, reduction="none")
    return correct_S.numpy(), cross_entropy_S.double().numpy()
