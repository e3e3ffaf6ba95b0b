"""A skeleton is one TOML file: the keypoints' names, the lines between them, who changes places in a mirror, sigmas.

    names = ["nose", "left_eye", "right_eye"]
    edges = [["nose", "left_eye"], ["nose", "right_eye"]]  # lines to draw; names, or indices into names
    flip_pairs = [["left_eye", "right_eye"]]               # what changes places in a mirrored picture
    sigmas = [0.026, 0.025, 0.025]                         # optional: COCO's per-keypoint constants k / 2 for OKS

Those of the common data sets lie in `model_export/skeletons`.
"""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model_export.errors import RecipeError
from service.contract.bundle_manifest import Keypoints, describe_problems

_SHIPPED = Path(str(files("model_export"))) / "skeletons"

_Pair = tuple[str | int, str | int]


class _SkeletonFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    edges: tuple[_Pair, ...] = ()
    flip_pairs: tuple[_Pair, ...] | None = None  # none at all are said as (), which a recipe that mirrors asks for
    sigmas: tuple[Annotated[float, Field(gt=0)], ...] | None = None


def shipped_skeletons() -> list[str]:
    """The names of the skeletons in `model_export/skeletons`."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def load_skeleton(name: str, folder: Path) -> Keypoints:
    """The keypoints of a skeleton.

    Args:
        name: of a shipped skeleton, such as `coco17`, or the path of a TOML file.
        folder: what a path is relative to.

    Raises:
        RecipeError: there is no such skeleton, or the file is not as it should be.
    """
    path = folder / name if name.endswith(".toml") else _SHIPPED / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        skeleton = _SkeletonFile.model_validate(values)
        said = {"flip_pairs": _indices(skeleton.flip_pairs, skeleton.names)} if skeleton.flip_pairs is not None else {}
        return Keypoints(
            names=skeleton.names,
            skeleton=_indices(skeleton.edges, skeleton.names),
            oks_sigmas=skeleton.sigmas,
            **said,
        )
    except FileNotFoundError as error:
        raise RecipeError(
            f"skeleton {name!r}: there is no file {path}; shipped ones are {', '.join(shipped_skeletons())}"
        ) from error
    except OSError as error:
        raise RecipeError(f"skeleton {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise RecipeError(f"skeleton {path}: {describe_problems(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"skeleton {path} is not valid TOML: {error}") from error
    except LookupError as error:
        raise RecipeError(
            f"skeleton {path}: edges and flip_pairs name {error.args[0]!r}, which is no keypoint"
        ) from error


def resolve_skeleton(recipe: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A recipe's values with `keypoints.skeleton = "NAME"` replaced by what that skeleton holds.

    Other keys of `[keypoints]` go before those of the skeleton: `oks_sigmas` for instance.

    Args:
        recipe: not changed.
        folder: of the recipe file, which the skeleton's path is relative to.

    Raises:
        RecipeError: as `load_skeleton`.
    """
    keypoints = recipe.get("keypoints")
    if not isinstance(keypoints, dict) or not isinstance(keypoints.get("skeleton"), str):
        return recipe
    loaded = load_skeleton(keypoints["skeleton"], folder).model_dump(mode="json", exclude_none=True, exclude_unset=True)
    others = {key: value for key, value in keypoints.items() if key != "skeleton"}
    return recipe | {"keypoints": loaded | others}


def _indices(pairs: tuple[_Pair, ...], names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    place = {name: index for index, name in enumerate(names)} | {index: index for index in range(len(names))}
    return tuple((place[first], place[second]) for first, second in pairs)
