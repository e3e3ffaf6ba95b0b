"""The equation: which loss moves the network, which moves the critic, and in what order."""

import torch
from torch import nn

from model_export.adversarial_focal import Critic
from model_export.base_losses import BaseLoss, Target
from model_export.heatmap_decoding import Prediction
from model_export.training_step import TrainingStep
from service.contract.keypoint_codec import KeypointCodec
from tests.model_export.test_adversarial_focal import settings

CODEC = KeypointCodec(heatmap_width=8, heatmap_height=8, stride=4, sigma=1.0, decoding="soft_argmax")


class Recorder:
    """Keeps what it is asked to minimise, and in what order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, torch.Tensor]] = []

    def network(self, loss: torch.Tensor) -> None:
        self.calls.append(("network", loss))

    def critic(self, objective: torch.Tensor) -> None:
        self.calls.append(("critic", objective))


class TinyNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.convolution(images)
        return maps


def known_loss(prediction: Prediction, target: Target) -> torch.Tensor:
    """Sample i loses i + 1 per keypoint, and the network's maps take part so that there is a gradient."""
    per_sample = torch.arange(1.0, len(target.visible_NK) + 1).unsqueeze(1)
    return per_sample * torch.ones(2) + 0 * prediction.maps_NKhw.sum(dim=(2, 3))


def run(critic: Critic | None, visible: torch.Tensor, base_loss: BaseLoss = known_loss, **afl: object) -> Recorder:
    recorder = Recorder()
    step = TrainingStep(
        TinyNetwork(), critic, recorder.network, recorder.critic, base_loss, CODEC, settings(place="soft_argmax", **afl)
    )
    places = torch.rand(len(visible), 2, 2) * 7
    target = Target(torch.from_numpy(CODEC.encode(CODEC.to_crop(places.numpy()))), places, visible)
    recorder.calls.append(("record", step(torch.randn(len(visible), 3, 8, 8), target).difficulty_N))
    return recorder


ALL_VISIBLE = torch.ones(4, 2, dtype=torch.bool)


def test_without_a_critic_the_mean_base_loss_is_minimised() -> None:
    (name, loss), (_, difficulty) = run(None, ALL_VISIBLE).calls
    assert name == "network"
    assert loss.item() == (1 + 2 + 3 + 4) / 4
    assert (difficulty == 1).all()


def test_with_a_critic_each_sample_counts_by_its_own_difficulty_and_the_critic_moves_first() -> None:
    torch.manual_seed(0)
    (first, _), (second, loss), (_, difficulty) = run(Critic(), ALL_VISIBLE).calls
    assert (first, second) == ("critic", "network")
    assert torch.allclose(loss, (difficulty * torch.tensor([1.0, 2.0, 3.0, 4.0])).mean())
    assert difficulty.std() > 0


def test_the_networks_loss_leaves_the_critic_alone_and_the_critics_the_network() -> None:
    torch.manual_seed(0)
    critic = Critic()
    _, (_, loss), _ = run(critic, ALL_VISIBLE).calls
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_invisible_keypoints_do_not_count_and_do_not_dilute() -> None:
    visible = torch.tensor([[True, False], [True, True], [False, False], [False, True]])
    (_, loss), _ = run(None, visible).calls
    assert loss.item() == (1 + 2 + 0 + 4) / 4


def test_weights_of_mean_one_keep_the_mean_of_a_constant_loss() -> None:
    torch.manual_seed(0)

    def constant(prediction: Prediction, target: Target) -> torch.Tensor:
        return 3.0 + 0 * prediction.maps_NKhw.sum(dim=(2, 3))

    _, (_, loss), _ = run(Critic(), ALL_VISIBLE, constant, weights="mean_one").calls
    assert torch.allclose(loss, torch.tensor(3.0))
