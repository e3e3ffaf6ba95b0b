"""Workers as processes, and what is asked of them."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import draw_discs, encode
from tests.server_process import ServerProcess

SECONDS = 60
PNG = {"Content-Type": "image/png"}
PICTURE = encode(draw_discs())


def workers_of(server: ServerProcess) -> list[int]:
    """The process ids of the workers."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def values(client: httpx.Client, name: str, **labels: str) -> dict[str, float]:
    """What `/metrics` says of one metric, by worker."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        sample.labels["worker"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    }


def answers(client: httpx.Client) -> Counter[str]:
    """Answers with 200 of `/v1/keypoints` by worker."""
    found = values(client, "focalpoint_requests_total", code="200", route="/v1/keypoints")
    return Counter({worker: int(value) for worker, value in found.items()})


def until(is_so: Callable[[], object]) -> None:
    """Wait until it is, a minute at the most."""
    give_up = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def post(client: httpx.Client) -> int:
    """The status of an answer to a picture."""
    return client.post("/v1/keypoints", content=PICTURE, headers=PNG).status_code
