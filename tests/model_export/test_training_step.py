"""The equation: which loss moves the network, which moves the critic, and in what order."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from model_export.adversarial_focal import Chance
from model_export.base_losses import BaseLoss, Target
from model_export.critic import Critic
from model_export.heatmap_decoding import Prediction
from model_export.training_step import BatchPart, TrainingStep
from service.contract.keypoint_codec import KeypointCodec
from tests.model_export.recipes import afl_settings

CODEC = KeypointCodec(heatmap_width=8, heatmap_height=8, stride=4, sigma=1.0, decoding="soft_argmax")


class Recorder:
    """An optimiser that never steps: keeps what it is asked to minimise, times the scale of its step."""

    def __init__(self, name: str, calls: list[tuple[str, torch.Tensor]]) -> None:
        self.name, self.calls = name, calls
        self.losses: list[torch.Tensor] = []

    def accumulate(self, loss: torch.Tensor) -> None:
        self.losses.append(loss)

    def apply(self, gradient_scale: torch.Tensor | None = None) -> None:
        loss = torch.stack(self.losses).sum()
        self.calls.append((self.name, loss if gradient_scale is None else gradient_scale * loss))


class Mover(Recorder):
    """The critic's optimiser, which moves it far as soon as there is something to minimise."""

    def __init__(self, critic: Critic, calls: list[tuple[str, torch.Tensor]]) -> None:
        super().__init__("critic", calls)
        self.critic = critic

    def accumulate(self, loss: torch.Tensor) -> None:
        super().accumulate(loss.detach())
        with torch.no_grad():
            for weight in self.critic.parameters():
                weight.add_(1.0)


class TinyNetwork(nn.Module):
    def __init__(self, keypoint_count: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, keypoint_count, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.convolution(images)
        return maps


def known_loss(prediction: Prediction, target: Target) -> torch.Tensor:
    """Sample i loses i + 1 per keypoint, and the network's maps take part so that there is a gradient."""
    per_sample = torch.arange(1.0, len(target.visible_NK) + 1).unsqueeze(1)
    return per_sample * torch.ones(2) + 0 * prediction.maps_NKhw.sum(dim=(2, 3))


Calls = list[tuple[str, torch.Tensor]]


def run(
    critic: Critic | None,
    visible: torch.Tensor,
    base_loss: BaseLoss = known_loss,
    parts: int = 1,
    *,
    critic_moves: bool = False,
    invisible_at: float | None = None,
    weighted: bool = True,
    **afl: object,
) -> Calls:
    """The losses of a step in the order in which they are minimised, then the difficulties."""
    calls: Calls = []
    critic_update = Mover(critic, calls) if critic_moves and critic else Recorder("critic", calls)
    step = TrainingStep(
        network=TinyNetwork(visible.shape[1]),
        critic=critic,
        network_update=Recorder("network", calls),
        critic_update=critic_update,
        mean_over_devices=lambda value: value,
        without_sync=lambda _: nullcontext(),
        base_loss=base_loss,
        codec=CODEC,
        afl=afl_settings(place="soft_argmax", **afl),
    )
    places = torch.rand(*visible.shape, 2) * 7
    if invisible_at is not None:
        places[~visible] = invisible_at
    target = Target(torch.from_numpy(CODEC.encode(CODEC.to_crop(places.numpy()))), places, visible)
    images, mixing = torch.randn(len(visible), 3, 8, 8), torch.rand(len(visible))
    noise, lots = torch.randn(*visible.shape, 2), torch.rand(visible.shape)
    pieces = [
        BatchPart(
            images[piece],
            Target(*(values[piece] for values in target)),
            Chance(mixing[piece], noise[piece], lots[piece]),
        )
        for piece in torch.arange(len(visible)).chunk(parts)
    ]
    difficulty_N = step(pieces, weighted=weighted).difficulty_N
    return [*calls, ("record", difficulty_N)]


ALL_VISIBLE = torch.ones(4, 2, dtype=torch.bool)


def test_without_a_critic_the_mean_base_loss_is_minimised() -> None:
    (name, loss), (_, difficulty) = run(None, ALL_VISIBLE)
    assert name == "network"
    assert loss.item() == (1 + 2 + 3 + 4) / 4
    assert (difficulty == 1).all()


def test_with_a_critic_each_sample_counts_by_its_own_difficulty_and_the_critic_moves_first() -> None:
    torch.manual_seed(0)
    (first, _), (second, loss), (_, difficulty) = run(Critic(), ALL_VISIBLE)
    assert (first, second) == ("critic", "network")
    assert torch.allclose(loss, (difficulty * torch.tensor([1.0, 2.0, 3.0, 4.0])).mean())
    assert difficulty.std() > 0


def test_the_score_is_that_of_the_critic_before_it_moves() -> None:
    def step(critic_moves: bool) -> Calls:
        torch.manual_seed(0)
        return run(Critic(), ALL_VISIBLE, critic_moves=critic_moves)

    torch.manual_seed(0)
    moved = Critic()
    before = [weight.clone() for weight in moved.parameters()]
    run(moved, ALL_VISIBLE, critic_moves=True)
    assert all((weight - old - 1).abs().max() < 1e-6 for weight, old in zip(moved.parameters(), before, strict=True))
    for (name, still), (_, moving) in zip(step(critic_moves=False), step(critic_moves=True), strict=True):
        assert torch.equal(still, moving), name


@pytest.mark.parametrize("existence", ["label", "prediction"])
def test_the_critic_sees_nothing_of_labels_that_are_not_visible(existence: str) -> None:
    """Wherever their meaningless coordinates lie, objective and difficulties are the same; visible ones do count."""
    visible = torch.tensor([[True, False], [True, True], [False, True]])

    def step(invisible_at: float, visible: torch.Tensor = visible) -> Calls:
        torch.manual_seed(0)
        return run(Critic(), visible, invisible_at=invisible_at, existence=existence)

    for (name, here), (_, there) in zip(step(0.0), step(6.0), strict=True):
        assert torch.equal(here, there), name
    (_, objective), *_ = step(0.0)
    (_, of_all), *_ = step(0.0, torch.ones_like(visible))
    assert not torch.equal(objective, of_all)


def test_the_networks_loss_leaves_the_critic_alone_and_the_critics_the_network() -> None:
    torch.manual_seed(0)
    critic = Critic()
    _, (_, loss), _ = run(critic, ALL_VISIBLE)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_invisible_keypoints_do_not_count_and_do_not_dilute() -> None:
    visible = torch.tensor([[True, False], [True, True], [False, False], [False, True]])
    (_, loss), _ = run(None, visible)
    assert loss.item() == (1 + 2 + 0 + 4) / 4


def test_weights_of_mean_one_keep_the_mean_of_a_constant_loss() -> None:
    torch.manual_seed(0)

    def constant(prediction: Prediction, target: Target) -> torch.Tensor:
        return 3.0 + 0 * prediction.maps_NKhw.sum(dim=(2, 3))

    _, (_, loss), _ = run(Critic(), ALL_VISIBLE, constant, weights="mean_one")
    assert torch.allclose(loss, torch.tensor(3.0))


def test_while_the_critic_warms_up_it_learns_and_weights_are_one() -> None:
    torch.manual_seed(0)
    (_, objective), (_, loss), (_, difficulty) = run(Critic(), ALL_VISIBLE, weighted=False)
    assert loss.item() == (1 + 2 + 3 + 4) / 4
    assert objective.requires_grad
    assert difficulty.std() > 0


def test_each_keypoint_counts_by_its_own_difficulty() -> None:
    """The loss of a sample is that of one keypoint alone, one: a third of its weight."""

    def step(which: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
        def of_one_keypoint(prediction: Prediction, _target: Target) -> torch.Tensor:
            return torch.tensor([which]) + 0 * prediction.maps_NKhw.sum(dim=(2, 3))

        torch.manual_seed(0)
        seen = torch.ones(1, 3, dtype=torch.bool)
        _, (_, loss), (_, difficulty) = run(Critic(), seen, of_one_keypoint, acts_per="keypoint")
        return 3 * loss, difficulty

    steps = [step([1.0, 0.0, 0.0]), step([0.0, 1.0, 0.0]), step([0.0, 0.0, 1.0])]
    weights = torch.stack([weight for weight, _ in steps])
    assert len(set(weights.tolist())) == 3
    assert torch.allclose(weights.mean(), steps[0][1][0])


@pytest.mark.parametrize("acts_per", ["sample", "keypoint"])
@pytest.mark.parametrize("control", ["none", "shuffled", "loss_ranked", "loss_ranked_reversed", "uniform"])
def test_the_networks_gradient_ends_at_the_weights(acts_per: str, control: str) -> None:
    """However they were made: the critic gets none of it, and the maps that it judged none but their loss's."""
    torch.manual_seed(0)
    critic = Critic()
    _, (_, loss), _ = run(critic, ALL_VISIBLE, acts_per=acts_per, control=control)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in critic.parameters())


@pytest.mark.parametrize(
    "form",
    [{"acts_per": "keypoint"}, {"true_side": "jittered_labels"}, {"score": "standardised"}, {"strength": 2.0}, {}],
    ids=str,
)
def test_parts_of_a_batch_make_the_step_of_the_whole(form: dict[str, Any]) -> None:
    """The weights' common factor is that of all parts together, and so is the critic's objective."""

    def step(parts: int) -> Calls:
        torch.manual_seed(0)
        return run(Critic(), torch.ones(6, 2, dtype=torch.bool), image_loss, parts, weights="mean_one", **form)

    for (name, whole), (other_name, pieced) in zip(step(1), step(3), strict=True):
        assert name == other_name
        assert torch.allclose(whole, pieced, rtol=1e-5)


def image_loss(prediction: Prediction, target: Target) -> torch.Tensor:
    """Differs from sample to sample, whichever part it is in."""
    return prediction.maps_NKhw.square().mean(dim=(2, 3))
