"""The container's health check, against real servers and against none."""

import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.deploy.programs import REPOSITORY
from tests.fakes import FakeEngine
from tests.service.conftest import running_server

SCRIPT = REPOSITORY / "deploy" / "healthcheck.py"


def ask(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **environment},
    )


def port_of(url: str) -> str:
    return url.rpartition(":")[2]


def test_yes_while_the_server_lives_and_no_proxy_comes_between() -> None:
    with running_server(FakeEngine()) as server:
        asked = ask(FOCALPOINT_PORT=port_of(server.url), http_proxy="http://127.0.0.1:1")
    assert (asked.returncode, asked.stderr) == (0, "")


def test_the_admin_port_is_asked_where_there_is_one() -> None:
    with running_server(FakeEngine()) as server:
        asked = ask(FOCALPOINT_PORT="1", FOCALPOINT_ADMIN_PORT=port_of(server.url))
    assert asked.returncode == 0


def test_no_where_livez_says_no() -> None:
    class NotAlive(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503 if self.path == "/livez" else 200)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), NotAlive) as server:
        threading.Thread(target=server.handle_request).start()
        asked = ask(FOCALPOINT_PORT=str(server.server_port))
    assert asked.returncode == 1
    assert asked.stderr == "/livez answers 503\n"


@pytest.mark.parametrize("port", ["free", "not a number"])
def test_no_where_nobody_listens(port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = str(listener.getsockname()[1])
    asked = ask(FOCALPOINT_PORT=free if port == "free" else port, FOCALPOINT_ADMIN_PORT="")
    assert asked.returncode == 1
    assert asked.stderr.startswith("/livez cannot be asked: ")
    assert asked.stderr.count("\n") == 1
