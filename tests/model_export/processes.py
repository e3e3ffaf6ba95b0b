"""Training in processes of its own, for tests that end one, or need two.

They are forks of a server that has torch imported already, so that each costs a fraction of a second, and all compute
with one thread, since the number of threads changes the order of summation.
"""

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch
from torch import nn

from model_export.networks import NETWORKS
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from tests.model_export.runs import run_recipe

_servers = multiprocessing.get_context("forkserver")
_servers.set_forkserver_preload([__name__])


def smooth_network(keypoint_count: int) -> nn.Module:
    """Convolutions and batch norms without a kink, so that rounding stays as small as it is.

    Where a ReLU's input is within rounding of zero, its gradient is all or nothing: two orders of summation, and the
    networks drift apart by a percent in a few steps, which shows nothing of right or wrong.
    """
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((3, 8, 2), (8, 16, 2), (16, 16, 1)):
        convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(16, keypoint_count, 1))


def start_training(
    recipe: Recipe,
    folder: Path,
    *,
    checkpoint_seconds: float = float("inf"),
    kill_step: int = 0,
    kill_delay: float = 0.0,
    environment: dict[str, str] | None = None,
) -> ForkServerProcess:
    """Train a recipe, from its checkpoint where there is one; `network.name` may be `smooth`.

    With `kill_step`, SIGKILL ends the process `kill_delay` seconds after so many steps of the whole run: in the middle
    of a later step, or of a checkpoint being written.
    """
    process = _servers.Process(
        target=_train, args=(recipe, folder, checkpoint_seconds, kill_step, kill_delay, environment or {})
    )
    process.start()
    return process


def finish(*processes: ForkServerProcess) -> list[int | None]:
    """Wait for the processes; their exit codes."""
    for process in processes:
        process.join(timeout=120)
    return [process.exitcode for process in processes]


def train_on_two(recipe: Recipe, folder: Path) -> RunFolder:
    """Train in two processes, with the environment that torchrun gives them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    common = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    common |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    ranks = [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    assert finish(*(start_training(recipe, folder, environment=rank) for rank in ranks)) == [0, 0]
    return RunFolder(folder)


def _train(
    recipe: Recipe,
    folder: Path,
    checkpoint_seconds: float,
    kill_step: int,
    kill_delay: float,
    environment: dict[str, str],
) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    NETWORKS["smooth"] = smooth_network
    run_recipe(
        recipe,
        folder,
        resume=RunFolder(folder).checkpoint.exists(),
        step_done=_killing(kill_step, kill_delay) if kill_step else lambda _epoch, _done, _total: None,
        checkpoint_seconds=checkpoint_seconds,
    )


def _killing(kill_step: int, kill_delay: float) -> Callable[[int, int, int], None]:
    def step_done(epoch: int, done: int, total: int) -> None:
        if epoch * total + done == kill_step:
            threading.Timer(kill_delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

    return step_done
