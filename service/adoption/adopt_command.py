"""`focalpoint adopt`: a bundle from an ONNX file of others, and every value that it was made with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from service.adoption.choices import choose_origin, choose_size
from service.adoption.facts import ASSUMED, Facts, first_of, shown
from service.adoption.flag_values import facts_from_flags, read_box, read_size, read_triple
from service.adoption.golden import drawn_picture, given_picture
from service.adoption.mmdeploy_files import MmdeployFacts, read_mmdeploy_files
from service.adoption.onnx_tensors import OnnxFile
from service.adoption.origins import ORIGINS
from service.adoption.outputs import Outputs
from service.adoption.plan import Plan, make_plan
from service.adoption.writing import Adopted, write_bundle
from service.contract.bundle_manifest import describe_problems
from service.contract.model_output import OUTPUT_KINDS
from service.contract.skeleton import SkeletonError, read_skeleton, shipped_skeletons
from service.errors import InvalidSetting, StartupError

_LABEL_WIDTH, _VALUE_WIDTH = 16, 30
_LICENCE_SUMMARY = "As said by whoever adopted the file."


def adopt_command(
    file: Annotated[Path, typer.Argument(help="The ONNX file; MMDeploy's pipeline.json beside it is read.")],
    output: Annotated[Path | None, typer.Option(help="The bundle's folder, new or empty.")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    skeleton: Annotated[
        str | None, typer.Option(help=f"FILE.toml, or one of {', '.join(shipped_skeletons())}.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Name of the weights' licence.")] = None,
    kind: Annotated[str | None, typer.Option(help=f"Where the file comes from: {', '.join(ORIGINS)}.")] = None,
    size: Annotated[str | None, typer.Option(help="Crop in pixels, as 192x256 (width first).")] = None,
    colour_order: Annotated[str | None, typer.Option(help="rgb or bgr.")] = None,
    mean: Annotated[str | None, typer.Option(help="Three numbers over 0..255, in the tensor's order.")] = None,
    std: Annotated[str | None, typer.Option(help="As --mean.")] = None,
    padding: Annotated[float | None, typer.Option(help="Factor by which boxes are grown.")] = None,
    warp: Annotated[str | None, typer.Option(help="half_pixel, top_down or udp: docs/geometry.md.")] = None,
    decoding: Annotated[
        str | None, typer.Option(help="Of heatmaps: quarter_step, dark, dark_udp, peak, soft_argmax.")
    ] = None,
    alignment: Annotated[str | None, typer.Option(help="Of heatmaps: half_pixel, stride or udp.")] = None,
    blur_kernel: Annotated[int | None, typer.Option(help="Of dark and dark_udp, in cells.")] = None,
    score_rule: Annotated[str | None, typer.Option(help="Of SimCC: min (mmpose) or mean (rtmlib).")] = None,
    unit: Annotated[str | None, typer.Option(help="Of coordinates: pixel or normalized.")] = None,
    output_tensor: Annotated[
        list[str] | None,
        typer.Option(help="An output's name; repeat: heatmaps | x, y of SimCC | keypoints, scores."),
    ] = None,
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1.0.0",
    description: Annotated[str, typer.Option(help="One sentence for the model's users.")] = "",
    licence_file: Annotated[Path | None, typer.Option(help="Text of the licence.")] = None,
    research_only: Annotated[bool, typer.Option("--research-only", help="The licence allows research only.")] = False,
    golden: Annotated[
        Path | None, typer.Option(help="A picture that the bundle keeps, to be checked at starts.")
    ] = None,
    box: Annotated[str | None, typer.Option(help="Around its object: x,y,width,height in pixels.")] = None,
    golden_source: Annotated[str, typer.Option(help="The picture's source and terms.")] = "not recorded",
) -> None:
    """Make a bundle of an ONNX file of others: MMDeploy, RTMPose, HRNet, Simple Baselines, ViTPose, coordinates."""
    given = facts_from_flags(
        size=read_size(size),
        colour_order=colour_order,
        mean=read_triple("--mean", mean),
        std=read_triple("--std", std),
        padding=padding,
        warp=warp,
        decoding=decoding,
        alignment=alignment,
        blur_kernel=blur_kernel,
        score_rule=score_rule,
        unit=unit,
    )
    if (golden is None) != (box is None):
        raise InvalidSetting("--golden and --box go together: a picture, and the box around its object")
    mmdeploy = read_mmdeploy_files(file.parent)
    plan = _plan(file, kind, given, mmdeploy, output_tensor or [], _unsaid(locals()))
    assert output, "asked for"
    assert name, "asked for"
    assert skeleton, "asked for"
    assert licence, "asked for"
    for label, fact in sorted(plan.facts.items(), key=lambda item: item[1].source.startswith(ASSUMED)):  # those last
        typer.echo(f"{label.replace('_', ' '):{_LABEL_WIDTH}} {shown(fact.value):{_VALUE_WIDTH}} {fact.source}")
    origin = plan.facts["kind"].value
    values = {
        "name": name,
        "version": version,
        "description": description or f"{ORIGINS[origin].title}, adopted from {file.name}.",
        "keypoints": _skeleton(skeleton, plan.keypoints, file),
        "input": plan.input,
        "output": plan.output,
        "licence": {"name": licence, "summary": _LICENCE_SUMMARY, "research_only": research_only},
        "training": {"adopted": _provenance(file, mmdeploy, plan)},
    }
    drawn = drawn_picture(plan.input["width"], plan.input["height"])
    picture = given_picture(golden, read_box(box), golden_source) if golden and box else drawn
    try:
        adopted = write_bundle(file, output, values, plan.facts, _licence_text(licence, licence_file), picture)
    except ValidationError as error:
        raise InvalidSetting(f"adopt: {describe_problems(error, OUTPUT_KINDS)}") from error
    except OSError as error:
        raise StartupError(f"--output {output}: it cannot be written ({error})") from error
    typer.echo(_closing_words(output, adopted, drawn=golden is None))


def _unsaid(flags: Mapping[str, Any]) -> list[str]:
    return [name for name in ("output", "name", "skeleton", "licence") if not flags[name]]


def _plan(
    file: Path, kind: str | None, given: Facts, mmdeploy: MmdeployFacts | None, tensors: list[str], unsaid: list[str]
) -> Plan:
    onnx = OnnxFile(file)
    known = first_of(given, mmdeploy.facts if mmdeploy else {})
    origin = choose_origin(file, kind, mmdeploy, onnx.output_names())
    size = choose_size(file, onnx.fixed_size(), known)
    found = onnx.tensors(size.value)
    outputs = Outputs(file, found.outputs, size.value, tensors, mmdeploy.names if mmdeploy else {})
    return make_plan(origin, size, found, outputs, known, unsaid)


def _skeleton(name: str, count: int, file: Path) -> dict[str, Any]:
    try:
        keypoints = read_skeleton(name, Path())
    except SkeletonError as error:
        raise StartupError(f"--skeleton: {error}") from error
    if len(keypoints.names) != count:
        raise StartupError(f"--skeleton {name}: {file.name} has {count} keypoints, found {len(keypoints.names)}")
    return keypoints.model_dump()


def _provenance(file: Path, mmdeploy: MmdeployFacts | None, plan: Plan) -> dict[str, Any]:
    values = {label: {"value": fact.value, "source": fact.source} for label, fact in plan.facts.items()}
    return {"file": file.name, **(mmdeploy.provenance if mmdeploy else {}), "values": values}


def _licence_text(licence: str, file: Path | None) -> str:
    if file is None:
        return f"The weights are offered under: {licence}\n\nSaid by whoever adopted the file; no text was given.\n"
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"--licence-file {file}: it cannot be read ({error})") from error


def _closing_words(bundle: Path, adopted: Adopted, drawn: bool) -> str:
    count = len(adopted.manifest.keypoints.names)
    words = f"{bundle}: written. "
    if adopted.compared is None:
        return words + "No golden image: every answer for the picture changes with one grey level of noise."
    words += f"Its golden image compares {adopted.compared} of {count} keypoints"
    if drawn:
        words += " on a drawn picture: the file's own answer, which nobody has looked at (--golden gives another)"
    return f"{words}. Look at a picture before you trust it: focalpoint predict PICTURE --model {bundle} -o OUT.png"
