"""The network that a finished run leaves behind: its averaged weights."""

from typing import Any

from torch import nn

from model_export.errors import RunError
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from model_export.trainer import build_recipe_network

_PREFIX = "module."  # of the weights in the state of torch's AveragedModel


def finished_state(run: RunFolder, recipe: Recipe) -> dict[str, Any]:
    """The checkpoint of a run that has done all epochs of its recipe.

    Raises:
        RunError: it cannot be read, or epochs are left to do.
    """
    state = run.load_checkpoint()
    if state["epoch"] < recipe.optimisation.epochs:
        raise RunError(f"{run.path} has done {state['epoch']} of {recipe.optimisation.epochs} epochs: resume it first")
    return state


def averaged_network(recipe: Recipe, state: dict[str, Any]) -> nn.Module:
    """The recipe's network with the averaged weights of a checkpoint, for evaluation."""
    network = build_recipe_network(recipe)
    weights = {key.removeprefix(_PREFIX): value for key, value in state["averaged"].items() if key.startswith(_PREFIX)}
    network.load_state_dict(weights)
    return network.eval()
