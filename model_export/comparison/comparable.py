"""What arms must agree in, or the difference of their figures is no difference of what they were meant to compare."""

from collections.abc import Iterator, Mapping
from typing import Any

from model_export.comparison.run_measurement import Measurement
from model_export.errors import RunError
from model_export.recipe import Recipe

_SHARED = {
    "seed": "on the same seeds",
    "data": "on the same pictures",
    "keypoints": "on the same keypoints",
    "input": "with the same box protocol: crops of the same size, padding and warp",
    "augmentation": "on the same crops",
    "evaluation": "by the same metrics and conventions",
    "network.initial_weights": "from the same start",
    "optimisation.epochs": "with the same budget",
    "optimisation.batch_size": "with the same budget",
    "optimisation.schedule.settling_epochs": "on the same crops, which are not mirrored while it settles",
}
_ABSENT = "absent"


def differing_keys(first: Recipe, other: Recipe) -> Iterator[tuple[str, Any, Any]]:
    """Each key whose value differs, dotted, with both values; `absent` where a recipe has none."""
    yield from _differing("", *(recipe.model_dump(mode="json", exclude_none=True) for recipe in (first, other)))


def check_same_terms(arms: Mapping[str, Recipe]) -> None:
    """Refuse arms that differ in seed, data, crops, budget or measure, or that do not differ at all.

    Raises:
        RunError: naming both arms and the key.
    """
    (first_name, first), *others = arms.items()
    for name, recipe in others:
        differences = [found for found in differing_keys(first, recipe) if found[0] not in ("name", "bundle")]
        for key, value, other_value in differences:
            for shared, reason in _SHARED.items():
                if key == shared or key.startswith(f"{shared}."):
                    raise RunError(
                        f"arms {first_name} and {name}: {key} is {value} and {other_value}, "
                        f"but arms are only compared {reason}"
                    )
    named: dict[str, str] = {}
    for name, recipe in arms.items():
        twin = named.setdefault(recipe.model_dump_json(), name)
        if twin != name:
            raise RunError(f"arms {twin} and {name} are the same recipe: expected one difference at least")


def check_same_measure(arms: Mapping[str, Measurement]) -> None:
    """Refuse runs of one seed that were measured with other boxes or on other samples, whatever their recipes say.

    Raises:
        RunError: naming both arms.
    """
    (first_name, first), *others = arms.items()
    for name, other in others:
        if other.box_protocol != first.box_protocol:
            raise RunError(
                f"arms {first_name} and {name} were measured with {first.box_protocol} and with {other.box_protocol}: "
                f"figures of different box protocols are not compared"
            )
        if other.run.split != first.run.split:
            raise RunError(
                f"arms {first_name} and {name} were measured on different samples "
                f"({first.samples} and {other.samples}, or other labels or boxes): splits are not compared"
            )
        if other.steps != first.steps:
            raise RunError(
                f"arms {first_name} and {name} took {first.steps} and {other.steps} steps: "
                f"runs of different budgets are not compared"
            )


def _differing(prefix: str, first: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    if first == other:
        return
    if isinstance(first, dict) and isinstance(other, dict):
        for key in first | other:
            yield from _differing(
                f"{prefix}.{key}" if prefix else key, first.get(key, _ABSENT), other.get(key, _ABSENT)
            )
    else:
        yield prefix, first, other
