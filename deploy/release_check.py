"""What a release holds works where nothing else is: wheel and sdist are built, installed, asked.

    python deploy/release_check.py

From the last commit, in a folder that is thrown away: a version that agrees everywhere, a wheel that was built from the
sdist, an environment with that wheel and its extra `cpu` alone, `focalpoint predict`, and `focalpoint serve` until
SIGTERM. Needs Python 3.11 or newer, git, and an index to install from.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

REPOSITORY = Path(__file__).resolve().parents[1]
KEYPOINTS = 68
START_SECONDS = 60
JPEG = {"Content-Type": "image/jpeg"}
IN_THE_WHEEL = (
    "service/py.typed",
    "service/server.py",
    "service/page/index.html",
    "service/page/app.js",
    "service/page/pictures/portrait.jpg",
    "service/documentation/index.html",
    "model_export/training_step.py",
)
IN_THE_SDIST = ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "constraints.txt", "tests/fakes.py")


class CheckError(Exception):
    """What is wrong with the release, in one sentence."""


def main() -> int:
    """Check everything; 0 if all of it holds."""
    try:
        with tempfile.TemporaryDirectory(prefix="focalpoint-release-") as folder:
            check(Path(folder))
    except (CheckError, subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"release-check: {error}\n")
        return 1
    return 0


def check(folder: Path) -> None:
    """Every step in order.

    Raises:
        CheckError: a step found something wrong.
        CalledProcessError: a program ended with an error, which it has written itself.
    """
    source, outside = folder / "source", folder / "elsewhere"
    outside.mkdir()
    commit = committed(source)
    version = agreed_version(source)
    say(f"version {version}, commit {commit}")
    wheel, sdist = built(source, folder)
    check_contents(wheel, sdist, version)
    say(f"{wheel.name} {wheel.stat().st_size // 1000} kB, {sdist.name} {sdist.stat().st_size // 1000} kB")
    python = environment(folder / "installed")
    run([python, "-m", "pip", "install", "-q", "-c", str(source / "constraints.txt"), f"{wheel}[cpu]"], outside)
    run([python, "-m", "pip", "check"], outside)
    focalpoint = python.parent / "focalpoint"
    if (said := run([focalpoint, "--version"], outside).strip()) != f"focalpoint {version}":
        raise CheckError(f"focalpoint --version: expected {version}, found {said}")
    model, picture = source / "models" / "face68", source / "tests" / "pictures" / "astronaut.jpg"
    check_answer(run([focalpoint, "predict", "--json", "--model", model, picture], outside), "predict")
    say("installed, predicts")
    serve([str(focalpoint), "serve", str(model), "--port", "0", "--log-format", "text"], outside, picture.read_bytes())
    say("serves, and ends on SIGTERM with code 0")


def committed(folder: Path) -> str:
    """The tree of the last commit, and the commit."""
    run(["git", "clone", "--quiet", "--depth", "1", f"file://{REPOSITORY}", folder], folder.parent)
    return run(["git", "rev-parse", "--short", "HEAD"], REPOSITORY).strip()


def agreed_version(source: Path) -> str:
    """The version of `service/__init__.py`, of which the changelog must have a heading."""
    found = re.search(
        r'^__version__ = "([^"]+)"$', (source / "service" / "__init__.py").read_text("utf-8"), re.MULTILINE
    )
    if found is None:
        raise CheckError('service/__init__.py: expected a line __version__ = "...", found none')
    if f"\n## [{found[1]}]" not in (source / "CHANGELOG.md").read_text("utf-8"):
        raise CheckError(f"CHANGELOG.md: expected a heading [{found[1]}], found none")
    return found[1]


def built(source: Path, folder: Path) -> tuple[Path, Path]:
    """The wheel, built from the sdist, and the sdist."""
    tools = environment(folder / "tools")
    run([tools, "-m", "pip", "install", "-q", "-c", source / "constraints.txt", "build"], folder)
    run([tools, "-m", "build", "--outdir", folder / "dist", source], folder)
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def check_contents(wheel: Path, sdist: Path, version: str) -> None:
    """The packages in the one, the sources in the other, and weights in neither: they have a licence of their own."""
    with zipfile.ZipFile(wheel) as packed:
        in_wheel = set(packed.namelist())
    with tarfile.open(sdist) as tar:
        in_sdist = {name.partition("/")[2] for name in tar.getnames()}
    if missing := {*IN_THE_WHEEL} - in_wheel | {*IN_THE_SDIST} - in_sdist:
        raise CheckError(f"wheel and sdist: {', '.join(sorted(missing))} is missing")
    tops = {name.partition("/")[0] for name in in_wheel} - {f"focalpoint-{version}.dist-info"}
    if tops != {"service", "model_export"}:
        raise CheckError(f"{wheel.name}: expected service and model_export, found {', '.join(sorted(tops))}")
    if weights := [name for name in in_wheel | in_sdist if name.endswith(".onnx")]:
        raise CheckError(f"wheel and sdist: expected no weights, found {', '.join(weights)}")


def environment(folder: Path) -> Path:
    """A fresh environment; returns its Python."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def serve(command: Sequence[str], folder: Path, picture: bytes) -> None:
    """Start the server, ask it, stop it."""
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=folder, stderr=stream)
    try:
        url = address(process, log)
        # Straight to it, whatever proxy the environment names.
        with build_opener(ProxyHandler({})).open(Request(f"{url}/v1/keypoints", picture, JPEG), timeout=30) as answer:
            check_answer(answer.read(), "serve")
        process.send_signal(signal.SIGTERM)
        if (code := process.wait(START_SECONDS)) != 0:
            raise CheckError(f"serve: expected exit code 0 after SIGTERM, found {code}")
    finally:
        process.kill()


def address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where it listens, by its log."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        if found := re.search(r"running on (\S+)", log.read_text("utf-8")):
            return found[1]
        time.sleep(0.1)
    raise CheckError(f"serve: it did not start: {log.read_text('utf-8')}")


def check_answer(answer: str | bytes, whose: str) -> None:
    """The portrait shows one face."""
    found = [len(instance["keypoints"]) for instance in json.loads(answer)["instances"]]
    if found != [KEYPOINTS]:
        raise CheckError(f"{whose}: expected one face with {KEYPOINTS} keypoints, found {found}")


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Standard output of a program that must end well; without variables that would lead it back to the checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FOCALPOINT_"))}
    ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True, env=clean)
    return ended.stdout


def say(line: str) -> None:
    """Progress, on standard output."""
    sys.stdout.write(f"release-check: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
