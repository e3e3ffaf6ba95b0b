"""From all that is known of a file to the `input` and `output` of a manifest, or to what must be asked."""

from collections.abc import Iterable
from typing import Any, NamedTuple, get_args

from service.adoption.facts import Fact, Facts, facts_from, first_of
from service.adoption.onnx_tensors import OnnxTensors
from service.adoption.origins import ORIGINS, goes_with
from service.adoption.outputs import OUTPUTS, Outputs
from service.adoption.questions import ask_for
from service.contract.heatmap_decoding import HeatmapDecoding
from service.errors import InvalidSetting

# What each kind of output needs beside what its tensors say.
_NEEDED = {
    "heatmaps": ("decoding", "alignment", "encoding", "sigma"),
    "simcc": ("score_rule",),
    "coordinates": ("unit",),
}
_BROUGHT_BY_DECODING = ("warp", "alignment", "encoding", "sigma")


class Plan(NamedTuple):
    """What is to be written.

    Attributes:
        input, output: values of the manifest's parts.
        keypoints: K of the graph.
        facts: everything, with its source, in the order in which it is shown.
    """

    input: dict[str, Any]
    output: dict[str, Any]
    keypoints: int
    facts: dict[str, Fact]


def make_plan(
    kind: Fact, size: Fact, tensors: OnnxTensors, outputs: Outputs, known: Facts, unsaid: Iterable[str]
) -> Plan:
    """The manifest's parts.

    Args:
        kind: one of `ORIGINS`.
        size: of the crop.
        tensors: what the graph says of its input.
        outputs: and of its outputs.
        known: what flags and files say, the closest first.
        unsaid: other things that must be given and are not; asked for in the same sentence.

    Raises:
        InvalidSetting: something is not known.
        StartupError: the outputs are not of this kind.
    """
    origin = ORIGINS[kind.value]
    facts = first_of(known, origin.facts)
    if "decoding" in facts:
        _check_decoding(facts["decoding"])
        facts = first_of(facts, goes_with(facts["decoding"].value))
    normalised = ("mean", "std") if tensors.dtype == "float32" else ()
    in_input = ("colour_order", *normalised, "padding", "warp")
    in_output = _NEEDED[origin.output_kind]
    missing = [name for name in (*in_input, *in_output) if name not in facts]
    if "decoding" in missing:  # it brings the others
        missing = [name for name in missing if name not in _BROUGHT_BY_DECODING]
    if missing := [*missing, *unsaid]:
        raise ask_for(outputs.file, missing)
    if origin.output_kind == "heatmaps" and str(facts["decoding"].value).startswith("dark"):
        in_output = (*in_output, "blur_kernel")
    graph = facts_from(
        "read from the graph", {"tensor": tensors.name, "dtype": tensors.dtype, "layout": tensors.layout}
    ) | {"batch": Fact(tensors.batch, tensors.batch_source)}
    chosen, keypoints = OUTPUTS[origin.output_kind](outputs, facts)
    input_facts = graph | {name: facts[name] for name in in_input}
    output_facts = chosen | {name: facts[name] for name in in_output}
    width, height = size.value
    return Plan(
        {"width": width, "height": height} | _values(input_facts),
        {"kind": origin.output_kind} | _values(output_facts),
        keypoints,
        {"kind": kind, "size": size} | input_facts | output_facts,
    )


def _check_decoding(decoding: Fact) -> None:
    rules = get_args(HeatmapDecoding)
    if decoding.value not in rules:
        raise InvalidSetting(f"--decoding: expected one of {', '.join(rules)}, found {decoding.value!r}")


def _values(facts: Facts) -> dict[str, Any]:
    return {name: fact.value for name, fact in facts.items()}
