"""Several processes on one port: they share the work, keys and limits, and start and end as one."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service.api_keys import new_key
from tests.certificates import make_certificate
from tests.fakes import write_bundle
from tests.server_process import COMMAND, ServerProcess, serving
from tests.service.workers.worker_processes import PICTURE, PNG, SECONDS, answers, post, until, values, workers_of


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Two workers, for tests that leave no trace in them."""
    bundle = write_bundle(tmp_path_factory.mktemp("bundles") / "discs")
    with serving(bundle, "--workers", "2") as server:
        yield server


def test_connections_and_counts_are_shared(pair: ServerProcess) -> None:
    assert len(workers_of(pair)) == 2
    with ExitStack() as stack:
        clients = [stack.enter_context(pair.client()) for _ in range(8)]
        before = answers(clients[0])
        for _ in range(3):
            assert [post(client) for client in clients] == [200] * 8

        until(lambda: (answers(clients[0]) - before).total() == 24)  # they are counted after they were sent
        assert answers(clients[0]) - before == {"0": 12, "1": 12}


def test_each_line_of_the_log_says_who_wrote_it(pair: ServerProcess) -> None:
    with pair.client() as client:
        assert client.get("/readyz").status_code == 200
    log = pair.log.read_text(encoding="utf-8")
    assert '"worker":0' in log
    assert '"worker":1' in log
    assert log.count("API keys are off") == 1


def test_a_worker_that_is_killed_is_replaced_while_the_other_answers(bundle: Path) -> None:
    with serving(bundle, "--workers", "2") as server:
        first = workers_of(server)
        os.kill(first[1], signal.SIGKILL)
        until(lambda: first[1] not in workers_of(server))
        with server.client() as client:
            assert post(client) == 200
            until(lambda: values(client, "focalpoint_worker_up") == {"0": 1.0, "1": 1.0})
        second = workers_of(server)
        assert second[0] == first[0]
        assert len(second) == 2
        assert "there is no worker 1 (it ended by signal SIGKILL); the next one starts in 1 s" in server.log.read_text(
            encoding="utf-8"
        )
        with ExitStack() as stack:  # the new one has its share
            clients = [stack.enter_context(server.client()) for _ in range(8)]
            assert [post(client) for client in clients] == [200] * 8
            until(lambda: answers(clients[0])["1"] >= 3)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(SECONDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_all_workers_and_ends_with_0(bundle: Path, number: signal.Signals) -> None:
    with serving(bundle, "--workers", "2", "--drain-delay-ms", "500") as server, ExitStack() as stack:
        body_goes_on = threading.Event()
        statuses: list[int] = []

        def slow_body() -> Iterator[bytes]:
            yield PICTURE[:100]
            body_goes_on.wait(SECONDS)
            yield PICTURE[100:]

        def ask_slowly() -> None:
            with server.client() as client:
                statuses.append(client.post("/v1/keypoints", content=slow_body(), headers=PNG).status_code)

        slow = [threading.Thread(target=ask_slowly) for _ in range(4)]  # two for each
        for thread in slow:
            thread.start()
        workers = workers_of(server)
        client = stack.enter_context(server.client())
        time.sleep(0.3)
        server.process.send_signal(number)
        until(lambda: client.get("/readyz").status_code == 503)
        host, port = server.url.removeprefix("http://").split(":")

        def refused() -> bool:
            try:
                socket.create_connection((host, int(port))).close()
            except ConnectionRefusedError:
                return True
            return False

        until(refused)
        body_goes_on.set()
        for thread in slow:
            thread.join(SECONDS)
        assert statuses == [200] * 4
        assert server.process.wait(SECONDS) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_what_a_worker_has_only_just_accepted_is_answered(bundle: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, str(bundle), "--workers", "2", "--port", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        connection = connect_as_soon_as_possible(port)
        with connection:
            head = (
                f"POST /v1/keypoints HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(PICTURE)}"
            )
            connection.sendall(head.encode() + b"\r\n\r\n" + PICTURE[:100])
            time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(PICTURE[100:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def connect_as_soon_as_possible(port: int) -> socket.socket:
    """A connection that a worker has taken: it has answered."""
    for _ in range(600):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        except ConnectionRefusedError:
            time.sleep(0.1)
            continue
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"alive"):
            part = connection.recv(1000)
            assert part, answer
            answer += part
        return connection
    raise AssertionError("nobody listens")


def test_workers_end_with_the_process_that_started_them(bundle: Path) -> None:
    with serving(bundle, "--workers", "2") as server:
        workers = workers_of(server)
        server.process.kill()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_key_has_one_rate_whoever_is_asked(bundle: Path, tmp_path: Path) -> None:
    key, sha256 = new_key()
    file = tmp_path / "keys.toml"
    file.write_text(
        f'[[key]]\nname = "tester"\nsha256 = "{sha256}"\nimages_per_second = 0.001\nburst = 5\nadmin = true\n',
        encoding="utf-8",
    )
    with serving(bundle, "--workers", "2", "--api-keys", str(file)) as server, ExitStack() as stack:
        options = {"headers": {"Authorization": f"Bearer {key}"}}
        clients = [stack.enter_context(server.client(**options)) for _ in range(8)]
        assert Counter(post(client) for client in clients) == {200: 5, 429: 3}
        refused = clients[0].post("/v1/repository:rescan")
        assert (refused.status_code, refused.json()["type"]) == (409, "conflict")
        assert "this is one of 2 processes that serve the folder" in refused.json()["detail"]
        assert clients[0].get("/v1/repository").status_code == 200


def test_sighup_has_every_worker_look_at_the_folder(tmp_path: Path) -> None:
    write_bundle(tmp_path / "discs")
    with serving(tmp_path, "--workers", "2", "--default-model", "discs") as server, ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in range(2)]
        assert [len(client.get("/v1/models").json()["models"]) for client in clients] == [1, 1]
        assert [post(client) for client in clients] == [200] * 2
        until(lambda: answers(clients[0]) == {"0": 1, "1": 1})  # one each
        write_bundle(tmp_path / "others", name="others")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: [len(client.get("/v1/models").json()["models"]) for client in clients] == [2, 2])


def test_a_signal_to_every_process_is_one_signal(bundle: Path) -> None:
    with serving(bundle, "--workers", "2", "--drain-delay-ms", "1500") as server, server.client() as client:
        started = time.monotonic()
        for pid in (server.process.pid, *workers_of(server)):
            os.kill(pid, signal.SIGTERM)
        until(lambda: client.get("/readyz").status_code == 503)
        assert post(client) == 200  # still, while the delay lasts
        assert server.process.wait(SECONDS) == 0
        assert time.monotonic() - started > 1.5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_they_start_ends_them_at_once(bundle: Path, number: signal.Signals) -> None:
    process = subprocess.Popen([*COMMAND, str(bundle), "--workers", "2", "--port", "0"], stderr=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: children.read_text(encoding="ascii"))
    started = time.monotonic()
    process.send_signal(number)
    _, log = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert time.monotonic() - started < 10  # the drain would be thirty
    assert b"ERROR" not in log
    assert b"Traceback" not in log


def test_the_admin_port_is_shared_too(bundle: Path) -> None:
    with serving(bundle, "--workers", "2", "--admin-port", "0") as server, server.client() as client:
        assert client.get("/metrics").status_code == 404
        found = re.search(r"their admin port is on (http://[\d.:]+)", server.log.read_text(encoding="utf-8"))
        assert found
        with httpx.Client(base_url=found[1], trust_env=False) as admin:
            assert values(admin, "focalpoint_worker_up") == {"0": 1.0, "1": 1.0}
            assert admin.get("/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(SECONDS) == 0


def test_tls(bundle: Path, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    flags = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    with serving(bundle, "--workers", "2", *flags) as server:
        host, port = server.url.removeprefix("https://").split(":")
        with socket.create_connection((host, int(port))) as plain:  # no TLS: closed, and nobody is the worse for it
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert plain.recv(100) == b""
        with server.client(verify=ssl.create_default_context(cafile=str(certificate))) as client:
            assert [post(client) for _ in range(3)] == [200] * 3
        with socket.create_connection((host, int(port))):  # says nothing, and the end does not wait for it
            time.sleep(0.2)
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(SECONDS) == 0
            assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere"], 1, "nowhere cannot be read (No such file or directory)"),
        (["--default-model", "cow"], 2, "--default-model: expected face68, found cow"),
        (["--api-keys", "nowhere.toml"], 2, "API key file nowhere.toml cannot be read (No such file or directory)"),
        (["--host", "no-such-host.invalid"], 1, "the server could not start on no-such-host.invalid:0 ("),
        (["--workers", "0"], 2, "--workers: Input should be greater than or equal to 1, found 0"),
    ],
)  # fmt: skip
def test_what_stops_the_start_is_one_sentence(arguments: list[str], code: int, sentence: str) -> None:
    ended = subprocess.run(
        [*COMMAND, "--workers", "2", "--log-level", "error", "--port", "0", *arguments],
        check=False, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert ended.stderr.startswith(f"focalpoint: {sentence}")
    assert ended.stderr.count("\n") == 1
    assert "Unknown error" not in ended.stderr
    assert ended.returncode == code


def test_too_few_descriptors_are_one_sentence(bundle: Path) -> None:
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -n 30 && exec "$@"', "sh", *COMMAND, str(bundle), "--workers", "64", "--port", "0"],
        check=False, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    sentence = "focalpoint: there is not enough for 64 workers to share ([Errno 24] Too many open files)\n"
    assert (ended.returncode, ended.stderr) == (1, sentence)


def test_a_first_worker_that_cannot_be_started_ends_the_start(bundle: Path) -> None:
    script = f"""
from pathlib import Path
from service.settings import Settings
from service.workers import supervisor

def fail(process):
    raise BlockingIOError(11, "Resource temporarily unavailable")

supervisor._SPAWN.Process.start = fail
supervisor.supervise(Settings(model=Path({str(bundle)!r}), port=0, workers=2), print)
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 1
    expected = "WorkerFailed: it could not be started: [Errno 11] Resource temporarily unavailable"
    assert ended.stderr.splitlines()[-1] == f"service.workers.supervisor.{expected}"


def test_a_port_in_use_is_one_sentence(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, str(bundle), "--workers", "2", "--port", port],
            check=False, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
    assert ended.stderr == f"focalpoint: the server could not start on 127.0.0.1:{port} (Address already in use)\n"
    assert ended.returncode == 1
