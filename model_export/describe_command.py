"""`focalpoint describe`: what a network and the critic cost."""

import json
from collections.abc import Sequence

import typer

from model_export.command_values import parse_options, parse_size
from model_export.network_cost import CONVENTION, CRITIC_NOTE, NetworkCost, critic_cost, network_cost
from model_export.networks.map_size import map_size


def run_description(name: str, keypoint_count: int, size: str, options: Sequence[str], *, as_json: bool) -> None:
    """Print the costs of a network and of the critic.

    Raises:
        RecipeError: name, size or an option is wrong, or the network does not take that size.
    """
    width, height = parse_size(size)
    chosen = parse_options(options)
    maps = map_size(name, keypoint_count, chosen, width, height)
    network, critic = network_cost(name, keypoint_count, chosen, width, height), critic_cost(keypoint_count)
    if as_json:
        answer = {
            "network": name,
            "options": chosen,
            "keypoints": keypoint_count,
            "input": {"height": height, "width": width},
            "output": {"height": maps.height, "width": maps.width, "stride": maps.stride},
            **_as_record(network),
            "critic": {"input": [2, keypoint_count, keypoint_count], **_as_record(critic), "note": CRITIC_NOTE},
            "convention": CONVENTION,
        }
        typer.echo(json.dumps(answer, indent=2))
        return
    typer.echo(f"{name}, {keypoint_count} keypoints, {height} x {width} in, {maps.height} x {maps.width} out")
    typer.echo(_as_line(network))
    typer.echo(f"critic, 2 x {keypoint_count} x {keypoint_count} in")
    typer.echo(_as_line(critic))
    typer.echo(f"  {CRITIC_NOTE}")
    typer.echo(CONVENTION)


def _as_record(cost: NetworkCost) -> dict[str, int | float]:
    return {
        **cost._asdict(),
        "multiply_accumulates_1e9": round(cost.giga, 6),
        "multiply_accumulates_2_30": round(cost.gibi, 6),
    }


def _as_line(cost: NetworkCost) -> str:
    return (
        f"  {cost.parameters:,} parameters, {cost.state_entries} state entries, {cost.multiply_accumulates:,} "
        f"multiply-accumulates = {cost.giga:.4g} x 1e9 = {cost.gibi:.4g} x 2^30"
    )
