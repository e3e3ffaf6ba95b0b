"""Servers of a comparison: started, asked until they answer, ended with all their processes."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from peers.catalogue import Configuration, Peer, Start
from peers.environments import ROOT
from peers.messages import Asking, raw, request_of
from peers.process_tree import MARK, end_processes

START_SECONDS = 90.0
TOLERANCE_PIXELS = 0.01

_ASKING_SERVICE = raw("/v1/keypoints", "application/octet-stream")


class FailedError(Exception):
    """A server that does not start, or does not answer as the service does."""


class Running(NamedTuple):
    """A server that answers: what its processes are known by, its URL, the request for the picture, how to read it."""

    mark: str
    url: str
    message: bytes
    asking: Asking

    def points(self) -> NDArray[np.float64]:
        """What it answers now: (K, 2) in image pixels.

        Raises:
            FailedError: no answer, or another status than 200.
        """
        status, headers, body = ask(self.url, self.message)
        if status != 200:
            raise FailedError(f"expected status 200, found {status}: {body[:300]!r}")
        if "Content-Length" not in headers:
            raise FailedError("expected an answer with a Content-Length, which the load generator needs")
        return self.asking.points(json.loads(body))


def ask(url: str, message: bytes, timeout: float = 30.0) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of one request on a connection of its own.

    Raises:
        FailedError: there is no answer.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout) as connection:
            connection.sendall(message)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, answer.headers, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise FailedError(f"{url} does not answer: {error!r}") from error


@contextmanager
def service(bundle: Path, jpeg: bytes, flags: Sequence[str] = ()) -> Iterator[Running]:
    """This project's service; as the peers, it writes no line for each request.

    Args:
        bundle: what it serves.
        jpeg: what it is asked.
        flags: of `focalpoint serve`; what they leave open has its default.
    """
    port = _free_ports()
    given = ["--port", str(port), "--log-level", "warning", *flags]
    command = [sys.executable, "-m", "service", "serve", str(bundle), *given]
    with _running(command, port, {}, Path(tempfile.mkdtemp()), _ASKING_SERVICE, jpeg) as running:
        yield running


@contextmanager
def peer_server(peer: Peer, python: Path, configuration: Configuration, bundle: Path, jpeg: bytes) -> Iterator[Running]:
    """A peer on a free port.

    Raises:
        FailedError: it does not start.
    """
    start = Start(python, Path(tempfile.mkdtemp()), _free_ports(), configuration)
    environment = {
        "PEER_BUNDLE": str(bundle.resolve()),
        "PEER_PORT": str(start.port),
        "PEER_WORKERS": str(configuration.workers),
        "PEER_FRONTS": str(configuration.fronts),
        "PEER_THREADS": str(configuration.threads),
        "PEER_INTRA_OP_THREADS": str(configuration.intra_op_threads),
        "PEER_MAX_BATCH": str(configuration.max_batch),
        "PEER_BATCH_WAIT_MS": str(configuration.batch_wait_ms),
        "PEER_VARIANT": configuration.variant,
        **peer.environment(start),
    }
    command = peer.command(start)
    with _running(command, start.port, environment, start.scratch, peer.asking(configuration), jpeg) as running:
        yield running


def check_same(expected: NDArray[np.float64], found: NDArray[np.float64]) -> None:
    """Whether two servers found the same points.

    Raises:
        FailedError: they differ by more than a hundredth of a pixel.
    """
    if found.shape != expected.shape:
        raise FailedError(f"expected points {expected.shape}, found {found.shape}")
    if (furthest := float(np.abs(found - expected).max())) > TOLERANCE_PIXELS:
        raise FailedError(
            f"expected the service's points within {TOLERANCE_PIXELS} px, found one {furthest:.3f} px away"
        )


@contextmanager
def _running(
    command: list[str], port: int, environment: dict[str, str], scratch: Path, asking: Asking, jpeg: bytes
) -> Iterator[Running]:
    mark, url = uuid.uuid4().hex, f"http://127.0.0.1:{port}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FOCALPOINT_")}
    paths = os.pathsep.join([str(ROOT / "deploy"), str(ROOT)])
    variables = {**inherited, "PYTHONPATH": paths, "ORT_DISABLE_TELEMETRY": "1", **environment, MARK: mark}
    running = Running(mark, url, request_of(asking, url, jpeg), asking)
    # A file, not a pipe: a pipe that nobody reads fills up, and then the server waits for it.
    with (scratch / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=scratch, env=variables, stdout=log, stderr=log)
        try:
            _wait(running, process, scratch / "log")
            yield running
        finally:
            end_processes(mark)
            process.wait()
            shutil.rmtree(scratch, ignore_errors=True)


def _wait(running: Running, process: "subprocess.Popen[Any]", log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    said = ""
    while time.monotonic() < give_up and process.poll() is None:
        try:
            running.points()
        except FailedError as failed:
            said = str(failed)
            time.sleep(0.2)
        else:
            return
    tail = log.read_text(encoding="utf-8", errors="replace")[-1500:]
    raise FailedError(f"it did not start: {said}\n{tail}")


def _free_ports() -> int:
    """A port that is free, and so are the two after it, which some take as well."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            try:
                for further in (port + 1, port + 2):
                    socket.create_server(("127.0.0.1", further)).close()
            except OSError:
                continue
            return port
