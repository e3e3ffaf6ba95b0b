"""A server that is replaced under load: every call ends in an answer or an error that says so."""

import signal
import threading
from collections import Counter
from pathlib import Path

from service.client import Client, ClientError, ConnectionFailed, RetryPolicy, ServerOverloaded
from tests.fakes import CENTRES, draw_discs
from tests.server_process import serving

THREADS = 4
SECONDS = 30


def test_callers_outlive_the_server_they_call(bundle: Path) -> None:
    ended: Counter[str] = Counter()
    lock, stop, wanted = threading.Lock(), threading.Event(), threading.Event()
    # Starting anew takes a second or two: longer than these tries, so that some calls are seen to fail.
    impatient = RetryPolicy(max_tries=3, first_wait_seconds=0.02)

    def ask(client: Client) -> None:
        while not stop.is_set():
            try:
                found = client.keypoints(draw_discs())
                outcome = "answered" if abs(found.instances[0].keypoints - CENTRES).max() < 0.5 else "wrong"
            except ClientError as error:
                outcome = type(error).__name__
            with lock:
                ended[outcome] += 1
                if sum(ended.values()) >= 20:
                    wanted.set()

    with serving(bundle) as first:
        port = first.url.rpartition(":")[2]
        with Client(first.url, trust_env=False, retry=impatient) as client:
            threads = [threading.Thread(target=ask, args=(client,)) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            try:
                assert wanted.wait(SECONDS)
                assert set(ended) == {"answered"}
                first.process.send_signal(signal.SIGTERM)
                assert first.process.wait(SECONDS) == 0
                with serving(bundle, "--port", port):
                    with lock:
                        before = ended["answered"]
                    patient = RetryPolicy(max_tries=100, longest_wait_seconds=0.1)
                    with Client(first.url, trust_env=False, retry=patient) as other:
                        assert other.keypoints(draw_discs()).instances
                    while not stop.wait(0.02):
                        with lock:
                            if ended["answered"] >= before + 20:
                                stop.set()
            finally:
                stop.set()
                for thread in threads:
                    thread.join(SECONDS)
    assert set(ended) <= {"answered", ConnectionFailed.__name__, ServerOverloaded.__name__}, ended
    assert ended["answered"] >= 40
    assert ended[ConnectionFailed.__name__] > 0  # while nobody listened


def test_a_patient_caller_does_not_notice_that_the_server_is_replaced(bundle: Path) -> None:
    with serving(bundle) as first, Client(first.url, trust_env=False, retry=RetryPolicy(max_tries=200)) as client:
        port = first.url.rpartition(":")[2]
        assert client.keypoints(draw_discs()).tries == 1
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(SECONDS) == 0
        found = []
        caller = threading.Thread(target=lambda: found.append(client.keypoints(draw_discs())))
        caller.start()
        with serving(bundle, "--port", port):
            caller.join(SECONDS)
    assert [answer.tries > 1 for answer in found] == [True]
