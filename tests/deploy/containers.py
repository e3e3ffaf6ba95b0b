"""Images and containers by docker or podman, whichever runs here."""

import json
import re
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.deploy.programs import REPOSITORY, run
from tests.server_process import START_SECONDS

# As docs/deployment.md says to run it: nothing that the service does not need.
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
BUILD_SECONDS, STOP_SECONDS = 1500, 60


@dataclass(frozen=True)
class Container:
    """A container with a server that is ready, and its address."""

    engine: str
    name: str
    url: str

    def client(self) -> httpx.Client:
        """A client that talks to it and to no proxy."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command inside it."""
        return subprocess.run(
            [self.engine, "exec", self.name, *command], capture_output=True, text=True, timeout=60, check=False
        )

    def terminate(self) -> None:
        """SIGTERM to its first process."""
        run([self.engine, "kill", "--signal", "TERM", self.name])

    def exit_code(self) -> int:
        """Wait until it has ended."""
        return int(run([self.engine, "wait", self.name], STOP_SECONDS))

    def log(self) -> str:
        """What it wrote, on both streams."""
        ended = subprocess.run(
            [self.engine, "logs", self.name], capture_output=True, text=True, timeout=60, check=False
        )
        return ended.stdout + ended.stderr


def container_engine() -> str:
    """`docker` where its daemon answers, `podman` otherwise; a skip where there is neither."""
    for name in ("docker", "podman"):
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True, check=False).returncode == 0:
            return name
    pytest.skip("neither a docker daemon nor podman is there")


def build(engine: str, target: str, image: str, **arguments: str) -> str:
    """Build a target of the Dockerfile, with build arguments; returns the image's name."""
    # podman keeps no health check in its own format, and copies everything once more for each layer that it keeps.
    special = ["--format", "docker", "--layers=false", "--network", "host"] if engine == "podman" else []
    flags = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    run([engine, "build", *special, *flags, "--target", target, "--tag", image, "."], BUILD_SECONDS)
    return image


def base_image(argument: str = "BASE_IMAGE") -> str:
    """The default of a build argument."""
    found = re.search(rf"^ARG {argument}=(\S+)$", (REPOSITORY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1]


def size_megabytes(engine: str, image: str) -> float:
    """The size of an image with its base, as the engine tells it."""
    return float(json.loads(run([engine, "image", "inspect", image]))[0]["Size"]) / 1e6


@contextmanager
def running(
    engine: str, image: str, *command: str, options: tuple[str, ...] = (), ready: bool = True
) -> Iterator[Container]:
    """A container with nothing to spare, its port published on one that is free; removed at the end."""
    name = f"focalpoint-check-{uuid.uuid4().hex[:8]}"
    run(
        [
            engine,
            "run",
            "--detach",
            "--name",
            name,
            "--publish",
            "127.0.0.1::8000",
            *HARDENED,
            *options,
            image,
            *command,
        ]
    )
    try:
        port = run([engine, "port", name, "8000"]).strip().rpartition(":")[2] if ready else "0"
        container = Container(engine, name, f"http://127.0.0.1:{port}")
        if ready:
            wait_until_ready(container.url, container.log)
        yield container
    finally:
        run([engine, "rm", "--force", name])


def wait_until_ready(url: str, log: object = None) -> None:
    """Ask /readyz until it says yes."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} is not ready: {log() if callable(log) else ''}")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def picture() -> bytes:
    """The portrait of the README."""
    return (REPOSITORY / Path("tests/pictures/astronaut.jpg")).read_bytes()
