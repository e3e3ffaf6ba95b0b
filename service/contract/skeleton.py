"""A skeleton is one TOML file: the keypoints' names, the lines between them, who changes places in a mirror, sigmas.

    names = ["nose", "left_eye", "right_eye"]
    edges = [["nose", "left_eye"], ["nose", "right_eye"]]  # lines to draw; names, or indices into names
    flip_pairs = [["left_eye", "right_eye"]]               # what changes places in a mirrored picture
    sigmas = [0.026, 0.025, 0.025]                         # optional: COCO's per-keypoint constants k / 2 for OKS

Those of the common data sets lie in `service/contract/skeletons`: recipes name them, and so do adopted models.
"""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.contract.bundle_manifest import Keypoints, describe_problems

_SHIPPED = Path(str(files("service.contract"))) / "skeletons"

_Pair = tuple[str | int, str | int]


class SkeletonError(Exception):
    """A skeleton that is not there or not as it should be; the message is one sentence that names the file."""


class _SkeletonFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    edges: tuple[_Pair, ...] = ()
    flip_pairs: tuple[_Pair, ...] | None = None  # none at all are said as (), which a recipe that mirrors asks for
    sigmas: tuple[Annotated[float, Field(gt=0)], ...] | None = None


def shipped_skeletons() -> list[str]:
    """The names of the skeletons in `service/contract/skeletons`."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def read_skeleton(name: str, folder: Path) -> Keypoints:
    """The keypoints of a skeleton.

    Args:
        name: of a shipped skeleton, such as `coco17`, or the path of a TOML file.
        folder: what a path is relative to.

    Raises:
        SkeletonError: there is no such skeleton, or the file is not as it should be.
    """
    path = folder / name if name.endswith(".toml") else _SHIPPED / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        skeleton = _SkeletonFile.model_validate(values)
        said = {} if skeleton.flip_pairs is None else {"flip_pairs": _indices(skeleton.flip_pairs, skeleton.names)}
        return Keypoints(
            names=skeleton.names,
            skeleton=_indices(skeleton.edges, skeleton.names),
            oks_sigmas=skeleton.sigmas,
            **said,
        )
    except FileNotFoundError as error:
        raise SkeletonError(
            f"skeleton {name!r}: there is no file {path}; shipped ones are {', '.join(shipped_skeletons())}"
        ) from error
    except OSError as error:
        raise SkeletonError(f"skeleton {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise SkeletonError(f"skeleton {path}: {describe_problems(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SkeletonError(f"skeleton {path} is not valid TOML: {error}") from error
    except LookupError as error:
        raise SkeletonError(
            f"skeleton {path}: edges and flip_pairs name {error.args[0]!r}, which is no keypoint"
        ) from error


def _indices(pairs: tuple[_Pair, ...], names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    place = {name: index for index, name in enumerate(names)} | {index: index for index in range(len(names))}
    return tuple((place[first], place[second]) for first, second in pairs)
