"""Workers that die, hang, stand still or cannot be started: they are replaced, and the others go on."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fakes import write_bundle
from tests.server_process import ServerProcess
from tests.service.workers.worker_processes import PICTURE, PNG, SECONDS, post, until, values, workers_of

FAULTY = """
import sys
import time
from pathlib import Path
from service.contract.bundle_manifest import BundleError
from service.logs import configure_logging
from service.settings import Settings
from service.workers import supervisor
from tests.fakes import FakeEngine

folder = Path(sys.argv[1])

def before_run(crops):
    if (folder / "die").exists():
        (folder / "die").unlink()
        raise SystemExit("the driver is gone")
    if (folder / "hang").exists():
        (folder / "hang").unlink()
        time.sleep(60)
    time.sleep(0.02)

def load(_):
    if (folder / "broken").exists():
        raise BundleError("no model today")
    return FakeEngine(before_run=before_run)

if __name__ == "__main__":
    configure_logging("info", "text")
    supervisor._SILENT_SECONDS = 1.0
    supervisor.supervise(Settings(port=0, workers=2, stuck_ms=300, drain_timeout_ms=500), load)
"""


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[ServerProcess]:
    """Two workers that die or hang at the next batch where a file says so; hanging is noticed after a second."""
    with _server(FAULTY, tmp_path) as server:
        yield server


@contextmanager
def _server(source: str, folder: Path) -> Iterator[ServerProcess]:
    script, log = folder / "server.py", folder / "log"
    script.write_text(source, encoding="utf-8")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            stderr=stderr,
        )
    try:
        until(lambda: "running on" in log.read_text(encoding="utf-8") or process.poll() is not None)
        found = re.search(r"running on (http://\S+)", log.read_text(encoding="utf-8"))
        assert found, log.read_text(encoding="utf-8")
        yield ServerProcess(process, found[1], log)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("fault", "why"), [("die", "the model has died"), ("hang", "has not been well for 1 s")])
def test_a_model_that_dies_or_hangs_has_its_worker_replaced(faulty: ServerProcess, fault: str, why: str) -> None:
    before = workers_of(faulty)
    (faulty.log.parent / fault).touch()
    with faulty.client() as client:
        assert post(client) == 503
    until(lambda: len(workers_of(faulty)) == 2 and workers_of(faulty) != before)
    assert len(set(workers_of(faulty)) & set(before)) == 1
    assert why in faulty.log.read_text(encoding="utf-8")
    with faulty.client() as client:
        assert post(client) == 200
    faulty.process.send_signal(signal.SIGTERM)
    assert faulty.process.wait(SECONDS) == 0


def test_while_a_model_hangs_new_connections_go_to_the_other_worker(faulty: ServerProcess) -> None:
    (faulty.log.parent / "hang").touch()
    with faulty.client() as client:
        assert post(client) == 503
        time.sleep(0.3)  # more than the worker takes to look at itself
        found = Counter(
            httpx.post(f"{faulty.url}/v1/keypoints", content=PICTURE, headers=PNG).status_code for _ in range(20)
        )
    assert found == {200: 20}


def test_a_worker_that_is_stopped_by_the_system_is_replaced(faulty: ServerProcess) -> None:
    before = workers_of(faulty)
    os.kill(before[0], signal.SIGSTOP)
    until(lambda: before[0] not in workers_of(faulty) and len(workers_of(faulty)) == 2)
    assert "worker 0 does not end and is killed" in faulty.log.read_text(encoding="utf-8")
    faulty.process.send_signal(signal.SIGTERM)
    assert faulty.process.wait(SECONDS) == 0


LOADING_SLOWLY = """
import sys
import time
from pathlib import Path
from service.logs import configure_logging
from service.model_loading import load_model
from service.settings import Settings
from service.workers.supervisor import supervise

folder = Path(sys.argv[1])

def load(bundle):
    while (folder / "slow").exists():
        (folder / "loading").touch()
        time.sleep(0.02)
    return load_model(bundle, "cpu", 1)

if __name__ == "__main__":
    configure_logging("info", "text")
    supervise(Settings(model=folder / "bundles", default_model="discs", port=0, workers=2), load)
"""


def test_sighup_while_a_worker_loads_is_not_forgotten(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundles" / "discs")
    with _server(LOADING_SLOWLY, tmp_path) as server:
        (tmp_path / "slow").touch()
        os.kill(workers_of(server)[1], signal.SIGKILL)
        until((tmp_path / "loading").exists)  # so it has looked at the folder
        write_bundle(tmp_path / "bundles" / "others", name="others")
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        (tmp_path / "slow").unlink()
        with server.client() as client:
            until(lambda: values(client, "focalpoint_model_info", model="others") == {"0": 1.0, "1": 1.0})


def test_a_pause_of_the_whole_server_ends_nobody(faulty: ServerProcess) -> None:
    before = workers_of(faulty)
    everybody = [faulty.process.pid, *before]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2.5)  # silence is noticed after one second
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    time.sleep(1.0)
    assert workers_of(faulty) == before
    assert "ERROR" not in faulty.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGKILL, 40])
def test_a_worker_that_cannot_be_replaced_is_tried_again_and_the_last_one_ends_the_server(
    faulty: ServerProcess, number: int
) -> None:
    first, second = workers_of(faulty)
    (faulty.log.parent / "broken").touch()
    os.kill(first, number)
    until(lambda: "(no model today); the next one starts in 2 s" in faulty.log.read_text(encoding="utf-8"))
    with faulty.client() as client:
        assert post(client) == 200
    os.kill(second, number)
    assert faulty.process.wait(SECONDS) == 1
    by = "SIGKILL" if number == signal.SIGKILL else "40"
    assert f"WorkerFailed: it ended by signal {by}\n" in faulty.log.read_text(encoding="utf-8")


def test_without_processes_the_others_go_on(faulty: ServerProcess) -> None:
    first, _ = workers_of(faulty)
    fields = (faulty.process.pid, resource.RLIMIT_NOFILE)
    soft, hard = resource.prlimit(*fields)
    resource.prlimit(*fields, (faulty.open_files(), hard))
    os.kill(first, signal.SIGKILL)
    until(lambda: "Too many open files); the next one starts in" in faulty.log.read_text(encoding="utf-8"))
    with faulty.client() as client:
        assert post(client) == 200
    resource.prlimit(*fields, (soft, hard))
    until(lambda: len(workers_of(faulty)) == 2)


def test_a_worker_that_dies_while_it_should_finish_makes_the_end_a_failure(faulty: ServerProcess) -> None:
    first, _ = workers_of(faulty)
    host, port = faulty.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(2):  # one for each
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(b"POST /v1/keypoints HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        time.sleep(0.3)
        faulty.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        os.kill(first, signal.SIGKILL)
        assert faulty.process.wait(SECONDS) == 1
    assert "worker 0 did not finish: it ended by signal SIGKILL" in faulty.log.read_text(encoding="utf-8")
