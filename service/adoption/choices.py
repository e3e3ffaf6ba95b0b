"""The first choices, on which the others hang: which origin, which crop size."""

from collections.abc import Collection
from pathlib import Path

from service.adoption.facts import Fact, Facts
from service.adoption.mmdeploy_files import PIPELINE_FILE, MmdeployFacts
from service.adoption.onnx_tensors import Size
from service.adoption.origins import ORIGINS
from service.adoption.questions import ask_for
from service.errors import InvalidSetting, StartupError

_ORIGIN_OF_PIPELINE = {"heatmaps": "mmdeploy-heatmap", "simcc": "mmdeploy-simcc", "coordinates": "coordinates"}


def choose_origin(file: Path, kind: str | None, mmdeploy: MmdeployFacts | None, outputs: Collection[str]) -> Fact:
    """The origin's name: given, read from pipeline.json, or told by the names of the graph's outputs.

    Raises:
        InvalidSetting: none of them says it.
        StartupError: what is given and what is read are of different kinds.
    """
    if kind is not None and kind not in ORIGINS:
        raise InvalidSetting(f"--kind: expected one of {', '.join(ORIGINS)}, found {kind!r}")
    if mmdeploy is None:
        if kind is None and not {"simcc_x", "simcc_y"} <= set(outputs):
            raise ask_for(file, ["kind"])
        read = "read from the graph, whose outputs are simcc_x and simcc_y"
        return Fact("mmdeploy-simcc", read) if kind is None else Fact(kind, "given by --kind")
    if kind is None:
        return Fact(_ORIGIN_OF_PIPELINE[mmdeploy.output_kind], f"read from {PIPELINE_FILE}")
    if ORIGINS[kind].output_kind != mmdeploy.output_kind:
        raise StartupError(
            f"--kind {kind}: expected {ORIGINS[kind].output_kind}, but {PIPELINE_FILE} beside {file.name} describes "
            f"{mmdeploy.output_kind}"
        )
    return Fact(kind, "given by --kind")


def choose_size(file: Path, fixed: Size | None, known: Facts) -> Fact:
    """Width and height of the crop. A graph that fixes them is right, whatever stands beside it.

    Raises:
        InvalidSetting: nothing says it, or --size is not the graph's.
    """
    said = known.get("size")
    if fixed is None:
        if said is None:
            raise ask_for(file, ["size"])
        return said
    if said is None or tuple(said.value) == fixed:
        return Fact(fixed, "read from the graph")
    if said.source.startswith("given"):
        raise InvalidSetting(f"--size: the graph takes {fixed[0]}x{fixed[1]}, found {said.value[0]}x{said.value[1]}")
    return Fact(fixed, f"read from the graph; {said.value[0]}, {said.value[1]} is {said.source}, and wrong")
