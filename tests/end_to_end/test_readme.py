"""The README is true: its blocks run against a running server, its answers are those, its links and flags exist.

After new weights in models/face68, to show their answers:
    python -c "from tests.end_to_end.test_readme import write; write()"
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from service.cli import build_command_line
from service.model_loading import load_model
from tests.service.conftest import RunningServer, running_server

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
PAGES = [
    README,
    *(REPOSITORY / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")),
    *(REPOSITORY / "docs").glob("*.md"),
]
BUNDLE = REPOSITORY / "models" / "face68"
ADDRESS = "http://127.0.0.1:8000"
SHOWN_KEYPOINTS = 2

# Other processors round differently, and a JPEG is decoded by other code.
PIXEL_TOLERANCE, SCORE_TOLERANCE = 1.0, 0.05

PROGRAMS = {
    "deploy/benchmark.py": ["deploy/benchmark.py"],
    "-m model_export.step_cost": ["-m", "model_export.step_cost"],
    "-m model_export.classification": ["-m", "model_export.classification"],
    "-m model_export.false_negatives": ["-m", "model_export.false_negatives"],
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    if not (BUNDLE / "manifest.json").exists():
        pytest.fail(f"{BUNDLE} is missing: the README's answers are those of this bundle, and a clone must serve it")
    with running_server(load_model(BUNDLE, "cpu", intra_op_threads=1)) as running:
        yield running


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


def curl_block() -> str:
    return only([block for block in blocks("bash") if block.startswith("curl ")])


def run_block(command: list[str], code: str, url: str) -> str:
    """Standard output of a block, run as a reader would but for the server's address."""
    assert ADDRESS in code
    environment = {**os.environ, "no_proxy": "*"}
    ended = subprocess.run(
        [*command, code.replace(ADDRESS, url)],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr
    return ended.stdout


def run_curl(url: str) -> Any:
    return json.loads(run_block(["bash", "-euc"], curl_block(), url))


def run_python(url: str) -> str:
    return run_block([sys.executable, "-W", "error", "-c"], only(blocks("python")), url)


def assert_agrees(shown: Any, real: Any, where: str) -> None:
    """The same members, names and types; numbers within the tolerances. Of the keypoints only the first are shown."""
    if isinstance(shown, dict):
        assert isinstance(real, dict), where
        assert list(shown) == list(real), where
        for name, value in shown.items():
            assert_agrees(value, real[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert isinstance(real, list), where
        if not where.endswith(".keypoints"):
            assert len(shown) == len(real), where
        for index, value in enumerate(shown):
            assert_agrees(value, real[index], f"{where}[{index}]")
    elif isinstance(shown, float):
        tolerance = SCORE_TOLERANCE if where.endswith(".score") else PIXEL_TOLERANCE
        assert real == pytest.approx(shown, abs=tolerance), where
    else:
        assert type(shown) is type(real), where
        assert shown == real, where


def test_the_curl_block_answers_as_shown(server: RunningServer) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    real = run_curl(server.url)
    assert len(real["instances"][0]["keypoints"]) == 68
    shown = json.loads(re.sub(r",\s*\.\.\.", "", only(blocks("json"))))
    assert len(shown["instances"][0]["keypoints"]) == SHOWN_KEYPOINTS
    assert_agrees(shown, real, "answer")


def test_the_python_block_prints_as_shown(server: RunningServer) -> None:
    printed = run_python(server.url).splitlines()
    shown = only(blocks("text")).splitlines()
    number = re.compile(r"-?\d+\.\d+")
    assert [number.sub("#", line) for line in shown] == [number.sub("#", line) for line in printed]
    for shown_line, line in zip(shown, printed, strict=True):
        *place, score = map(float, number.findall(line))
        *shown_place, shown_score = map(float, number.findall(shown_line))
        assert place == pytest.approx(shown_place, abs=PIXEL_TOLERANCE)
        assert score == pytest.approx(shown_score, abs=SCORE_TOLERANCE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'(?:href|src)="([^"]+)"', text)
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def anchors(page: Path) -> set[str]:
    """What the headings of a Markdown page are called in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def flags_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)(?![\w.])", text))


def flags_of_focalpoint() -> dict[str, set[str]]:
    """The flags of every command of the command line."""
    group = typer.main.get_group(build_command_line())
    return {
        name: {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        | {"--help"}
        for name, command in group.commands.items()
    }


@cache
def flags_of_program(program: str) -> set[str]:
    """The flags that one of `PROGRAMS` names in its help; asked once, since each imports torch to say so."""
    asked = [sys.executable, *PROGRAMS[program], "--help"]
    helped = subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True)
    return flags_in(helped.stdout)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_flag_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    flags = flags_of_focalpoint()
    for name, rest in re.findall(r"focalpoint ([a-z-]+)((?: [^`\n|&]*)?)[`\n|&]", text):
        if name in flags:
            assert flags_in(rest) <= flags[name], f"{page.name}: focalpoint {name}{rest}"
    for line in re.findall(r"^ *[.\w/-]*focalpoint ([a-z-]+)", text, re.MULTILINE):
        assert line in flags, f"{page.name}: focalpoint {line}"
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^ *|`)make ([a-z-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
    alone = {flag for span in re.findall(r"`(-[^`]*)`", text) for flag in flags_in(span)}
    import benchmark  # noqa: PLC0415 - deploy/ is on the path of tests, not of `write`

    of_the_benchmark = flags_in(benchmark.parser().format_help())
    assert alone <= set().union(*flags.values()) | of_the_benchmark | {"--build-arg"}, page.name
    for program in PROGRAMS:
        for rest in re.findall(rf"python {re.escape(program)}([^`\n]*)", text):
            own, of_serve = (
                re.sub(r'--serve="[^"]*"', "--serve", rest),
                " ".join(re.findall(r'--serve="([^"]*)"', rest)),
            )
            assert flags_in(own) <= flags_of_program(program), f"{page.name}: python {program}{rest}"
            assert flags_in(of_serve) <= flags["serve"], f"{page.name}: python {program}{rest}"


def write() -> None:
    """Put the answers of models/face68 into the README."""
    with running_server(load_model(BUNDLE, "cpu", intra_op_threads=1)) as server:
        answer, printed = run_curl(server.url), run_python(server.url)
    text = README.read_text(encoding="utf-8")
    for language, content in {"json": abridged(answer), "text": printed}.items():
        text = text.replace(f"```{language}\n{only(blocks(language))}```", f"```{language}\n{content}```")
    README.write_text(text, encoding="utf-8")


def abridged(answer: Any) -> str:
    """An answer as a page shows it: of its keypoints only the first."""
    (instance,) = answer["instances"]
    shown = [f"        {json.dumps(keypoint)},\n" for keypoint in instance["keypoints"][:SHOWN_KEYPOINTS]]
    return (
        f'{{\n  "model": {json.dumps(answer["model"])},\n  "image": {json.dumps(answer["image"])},\n'
        f'  "instances": [\n    {{\n      "box": {json.dumps(instance["box"])},\n      "score": {instance["score"]},\n'
        f'      "keypoints": [\n{"".join(shown)}        ...\n      ]\n    }}\n  ]\n}}\n'
    )
