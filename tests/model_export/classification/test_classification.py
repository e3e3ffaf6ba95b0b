"""AFL on classification: the focal loss is the formula, and the critic only ever weighs."""

import numpy as np
import pytest
import torch

from model_export.classification.__main__ import main
from model_export.classification.arms import ARMS, ClassificationArm
from model_export.classification.digits import CLASSES, LabelledDigits, load_halves
from model_export.classification.losses import classification_loss
from model_export.classification.probability_critic import ProbabilityCritic
from model_export.classification.training import Classifier, build_classifier, train_arm, train_batch


def test_focal_loss_is_the_formula() -> None:
    """Two classes with logits log 3 and 0: p = 3/4 and 1/4. FL = -(1 - p)^2 log p, for either."""
    logits = torch.tensor([[np.log(3.0), 0.0]] * 2)
    classes = torch.tensor([0, 1])
    focal = classification_loss(logits, classes, 2.0)
    assert focal.tolist() == pytest.approx([0.25**2 * np.log(4 / 3), 0.75**2 * np.log(4)])
    plain = classification_loss(logits, classes, 0.0)
    assert plain.tolist() == pytest.approx([np.log(4 / 3), np.log(4)])


def test_focal_loss_differentiates_both_factors() -> None:
    """d/dp of -(1 - p)^2 log p is 2 (1 - p) log p - (1 - p)^2 / p, and dp/dlogit is p (1 - p)."""
    logits = torch.tensor([[np.log(3.0), 0.0]], requires_grad=True)
    classification_loss(logits, torch.tensor([0]), 2.0).sum().backward()  # type: ignore[no-untyped-call]
    p = 0.75
    expected = (2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p) * p * (1 - p)
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([expected, -expected])


def test_the_slope_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    critic = ProbabilityCritic(CLASSES).double()
    probabilities = torch.rand(3, CLASSES, dtype=torch.float64).softmax(dim=1)
    slope = critic.slope(probabilities)
    assert slope.requires_grad  # the penalty trains d
    for place in range(CLASSES):
        step = torch.zeros(CLASSES, dtype=torch.float64)
        step[place] = 1e-6
        numeric = (critic(probabilities + step) - critic(probabilities - step)) / 2e-6
        assert slope[:, place].tolist() == pytest.approx(numeric.tolist(), abs=1e-7)


def a_batch() -> LabelledDigits:
    training = load_halves().training
    return LabelledDigits(training.images_N1hw[:64], training.classes_N[:64])


def step_of(arm: ClassificationArm) -> tuple[Classifier, torch.Tensor, list[torch.Tensor]]:
    """Classifier and gradients of f after one step from the same weights, and the difficulties."""
    torch.manual_seed(3)
    classifier = build_classifier()
    record = train_batch(classifier, a_batch(), arm, torch.Generator().manual_seed(0))
    gradients = [weight.grad for weight in classifier.network.parameters() if weight.grad is not None]
    return classifier, record.difficulty_N, gradients


def test_the_critic_weighs_and_sends_no_gradient_to_the_classifier() -> None:
    """f's gradient is that of the difficulties, as numbers, times the cross entropy: nothing came through d."""
    _, difficulty, gradients = step_of(ClassificationArm(adversarial=True))
    assert 0 < difficulty.std() < 0.5
    torch.manual_seed(3)
    network = build_classifier().network
    batch = a_batch()
    loss = classification_loss(network(batch.images_N1hw), batch.classes_N, 0.0)
    (torch.tensor(difficulty.tolist()) * loss).mean().backward()  # type: ignore[no-untyped-call]
    for weight, gradient in zip(network.parameters(), gradients, strict=True):
        assert weight.grad is not None
        assert torch.allclose(weight.grad, gradient, rtol=1e-4, atol=1e-7)


def test_only_an_adversarial_arm_trains_the_critic_and_its_score_is_from_before() -> None:
    torch.manual_seed(3)
    drawn = build_classifier()
    with torch.no_grad():
        before = torch.sigmoid(-drawn.critic(drawn.network(a_batch().images_N1hw).softmax(dim=1)))
    vanilla, ones, _ = step_of(ClassificationArm())
    adversarial, difficulty, _ = step_of(ClassificationArm(adversarial=True))
    assert ones.tolist() == [1.0] * 64
    assert difficulty.tolist() == pytest.approx(before.tolist(), abs=1e-6)
    weights = [one.critic.state_dict()["layers.0.weight"] for one in (drawn, vanilla, adversarial)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_long_tail_falls_by_one_factor_and_leaves_the_test_half_alone() -> None:
    whole, tail = load_halves(), load_halves(imbalance=20.0)
    assert [len(half.classes_N) for half in whole] == [898, 899]
    counts = torch.bincount(tail.training.classes_N, minlength=CLASSES).tolist()
    shares = [kept / of for kept, of in zip(counts, torch.bincount(whole.training.classes_N).tolist(), strict=True)]
    assert shares == pytest.approx([20 ** (-digit / 9) for digit in range(CLASSES)], abs=0.006)  # whole pictures
    assert torch.equal(whole.test.classes_N, tail.test.classes_N)


def test_training_is_repeatable_and_learns() -> None:
    digits = load_halves()
    first, again = (train_arm(digits, ARMS["AFL"], seed=1, epochs=2) for _ in range(2))
    assert np.array_equal(first.cross_entropy_S, again.cross_entropy_S)
    assert first.correct_S.mean() > 0.6  # measured 0.887; 0.1 is chance


def test_the_command_prints_both_tables(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--seeds=2", "--epochs=1", "--imbalance=50"])
    printed = capsys.readouterr().out
    assert printed.count("| top-1 accuracy (higher is better) |") == len(ARMS)
    assert printed.count("| cross entropy (lower is better) |") == len(ARMS)
    assert printed.count("\n| control: AFL's mean score for all | ") == 1
