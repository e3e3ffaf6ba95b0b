"""The process: it serves a bundle, drains on SIGTERM and exits with 0; what stops it from starting is one sentence."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.certificates import make_certificate
from tests.fakes import draw_discs, encode
from tests.server_process import COMMAND, serving

SECONDS = 60
PNG = {"Content-Type": "image/png"}


def test_sigterm_finishes_what_is_in_flight_and_exits_with_0(bundle: Path) -> None:
    with (
        serving(bundle, "--drain-delay-ms", "600") as server,
        server.client() as client,
    ):
        process, url = server.process, server.url
        assert client.get("/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        while (answer := client.get("/readyz")).status_code == 200:
            time.sleep(0.01)
        assert answer.headers["connection"] == "close"  # clients are to go elsewhere for the next one
        # Not ready, and still serving: a balancer that has not looked yet loses nothing.
        answers: list[int] = []
        body_goes_on = threading.Event()

        def slow_body() -> Iterator[bytes]:
            picture = encode(draw_discs())
            yield picture[:100]
            body_goes_on.wait(SECONDS)
            yield picture[100:]

        slow = threading.Thread(
            target=lambda: answers.append(client.post("/v1/keypoints", content=slow_body(), headers=PNG).status_code)
        )
        slow.start()
        assert client.post("/v1/keypoints", content=encode(draw_discs()), headers=PNG).status_code == 200
        time.sleep(1.0)  # longer than the delay: the server has stopped listening, and waits for the slow one
        host, port = url.removeprefix("http://").split(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))
        body_goes_on.set()
        slow.join(SECONDS)
        assert answers == [200]
        assert process.wait(SECONDS) == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "sentence"),
    [
        (["nowhere"], {}, 1, "nowhere cannot be read (No such file or directory)"),
        (["--default-model", "cow", "--log-level", "error"], {}, 2, "--default-model: expected face68, found cow"),
        (["--provider", "tpu"], {}, 2, "--provider: Input should be 'cpu' or 'cuda', found 'tpu'"),
        ([], {"FOCALPOINT_PORT": "http"}, 2, "FOCALPOINT_PORT: Input should be a valid integer"),
    ],
)
def test_what_stops_the_start_is_one_sentence(
    arguments: list[str], environment: dict[str, str], code: int, sentence: str
) -> None:
    ended = subprocess.run(
        [*COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=SECONDS,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert ended.returncode == code
    assert ended.stderr.startswith(f"focalpoint: {sentence}")
    assert ended.stderr.count("\n") == 1


def test_a_port_in_use_is_one_sentence(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, str(bundle), "--port", port], check=False, capture_output=True, text=True, timeout=SECONDS
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"focalpoint: the server could not start on 127.0.0.1:{port} (Address already in use)"
    )
    assert "Traceback" not in ended.stderr


def test_an_engine_that_dies_ends_the_process_with_3(tmp_path: Path) -> None:
    script = tmp_path / "dying.py"
    script.write_text(
        """
import sys
from service.errors import EngineDied
from service.server import serve
from service.settings import Settings
from tests.fakes import FakeEngine

def die(crops):
    raise SystemExit("the driver is gone")

try:
    serve(Settings(port=int(sys.argv[1])), lambda folder: FakeEngine(before_run=die))
except EngineDied as error:
    sys.exit(error.exit_code)
""",
        encoding="utf-8",
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    repository = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, str(script), str(port)],
        env={**os.environ, "PYTHONPATH": str(repository)},
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while True:
                try:
                    client.get("/livez")
                    break
                except httpx.ConnectError:
                    time.sleep(0.05)
            answer = client.post("/v1/keypoints", content=encode(draw_discs()), headers=PNG)
        assert (answer.status_code, answer.json()["detail"]) == (503, "the model has died")
        assert process.wait(SECONDS) == 3
    finally:
        process.kill()
        process.wait()


def test_metrics_and_probes_have_a_port_of_their_own_when_asked(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        admin_port = listener.getsockname()[1]
    with serving(bundle, "--admin-port", str(admin_port)) as server, server.client() as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/metrics").status_code == 404
        with httpx.Client(base_url=f"http://127.0.0.1:{admin_port}", trust_env=False) as admin:
            assert "focalpoint_model_info" in admin.get("/metrics").text
            assert admin.get("/readyz").status_code == admin.get("/livez").status_code == 200
            assert admin.post("/v1/keypoints").status_code == 404
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(SECONDS) == 0


def test_tls_is_passed_through(bundle: Path, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    flags = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    with serving(bundle, *flags) as server:
        assert server.url.startswith("https://")
        with server.client(verify=ssl.create_default_context(cafile=str(certificate))) as client:
            answer = client.post("/v1/keypoints", content=encode(draw_discs()), headers=PNG)
        assert answer.status_code == 200


def test_what_the_end_of_the_drain_cuts_off_is_told_so_and_counted(bundle: Path) -> None:
    with serving(bundle, "--drain-timeout-ms", "400") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
            connection.sendall(
                b"POST /v1/keypoints HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 9999\r\n\r\nhalf"
            )
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"the server has stopped before it could answer" in answer
        assert server.process.wait(SECONDS) == 0
        log = server.log.read_text(encoding="utf-8")
    assert "1 accepted requests were cut off by drain_timeout_ms" in log
    assert "every accepted request is answered" not in log
    assert "Traceback" not in log
