"""`focalpoint inspect`: a bundle explained and checked."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from service.adoption.facts import shown
from service.contract.bundle_manifest import BundleManifest
from service.inspection.bundle_check import Outcome, check_answers, check_files
from service.inspection.words import input_words, output_words


def inspect_command(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder.")],
    json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Explain a bundle: what goes in, what comes out, keypoints, licence, accuracy; check its files and answers.

    Ends with exit code 1 where a file or an answer is not as the bundle says.
    """
    manifest = BundleManifest.load(bundle)
    files, answers = check_files(bundle, manifest), check_answers(bundle)
    if json:
        found = _as_json(manifest, files, answers)
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo("\n".join(_as_text(manifest, files, answers)))
    if not all(outcome.agrees for outcome in (*files, *answers)):
        raise typer.Exit(1)


def _as_json(manifest: BundleManifest, files: Sequence[Outcome], answers: Sequence[Outcome]) -> dict[str, Any]:
    values = manifest.model_dump(mode="json", exclude={"sha256", "training", "format"})
    values["input"] |= {"words": input_words(manifest.input)}
    values["output"] |= {"words": output_words(manifest)}
    return values | {
        "adopted": manifest.training.get("adopted"),
        "files": [outcome._asdict() for outcome in files],
        "golden_images": [outcome._asdict() for outcome in answers],
    }


def _as_text(manifest: BundleManifest, files: Sequence[Outcome], answers: Sequence[Outcome]) -> Iterator[str]:
    keypoints, licence = manifest.keypoints, manifest.licence
    yield f"{manifest.name} {manifest.version}"
    yield from filter(None, (manifest.description, manifest.intended_use))
    yield from _section("goes in", input_words(manifest.input))
    yield from _section("comes out", output_words(manifest))
    mirror = {first: second for pair in keypoints.flip_pairs for first, second in (pair, pair[::-1])}
    yield from _section(
        f"keypoints, {len(keypoints.names)} in every answer in this order, however low their scores",
        (
            f"{index:3} {name}" + (f" (mirrored: {keypoints.names[mirror[index]]})" if index in mirror else "")
            for index, name in enumerate(keypoints.names)
        ),
    )
    sigmas = "without OKS sigmas" if keypoints.oks_sigmas is None else "with OKS sigmas"
    yield f"  {len(keypoints.skeleton)} lines between them; {sigmas}"
    terms = "research only" if licence.research_only else "not restricted to research"
    yield from _section("licence of the weights", [f"{licence.name} ({terms}). {licence.summary}"])
    measured = (
        f"{entry.metric} {entry.value:g} {entry.unit} ({entry.convention}; {entry.box_protocol}; {entry.data})"
        for entry in manifest.accuracy
    )
    yield from _section("accuracy", measured if manifest.accuracy else ["none is recorded"])
    if adopted := manifest.training.get("adopted"):
        yield from _section(f"adopted from {adopted.get('file')}", _sources(adopted.get("values", {})))
    yield from _section("files", map(_outcome, files))
    yield from _section("golden images", map(_outcome, answers) if answers else ["none: no answer can be checked"])


def _section(title: str, lines: Any) -> Iterator[str]:
    yield f"\n{title}"
    yield from (f"  {line}" for line in lines)


def _outcome(outcome: Outcome) -> str:
    return f"{'ok  ' if outcome.agrees else 'BAD '} {outcome.name}: {outcome.words}"


def _sources(values: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, fact in values.items():
        yield f"{name.replace('_', ' ')}: {shown(fact.get('value'))} ({fact.get('source')})"
