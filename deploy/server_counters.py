"""What the server says of itself at `/metrics`, before and after a load, and whether that agrees with the client."""

import re
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

ROUTE = "/v1/keypoints"

# The server counts a request after it has sent the answer.
_PATIENCE_SECONDS = 1.0

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Counters(NamedTuple):
    """Counters of a server at one moment; sums over whatever is not named.

    Attributes:
        requests: answers of `ROUTE` by status.
        crops: that the model has seen.
        batches: forward passes.
        queue_seconds: that requests waited for a forward pass.
        request_seconds: that requests spent in all stages, the queue included.
        cpu_seconds: of the process; None where the server does not say.
    """

    requests: Counter[str]
    crops: float
    batches: float
    queue_seconds: float
    request_seconds: float
    cpu_seconds: float | None


class Identity(NamedTuple):
    """The model that is served."""

    model: str
    version: str
    sha256: str


class Difference(NamedTuple):
    """What a load did to a server.

    Attributes:
        requests: answers by status.
        crops: that the model has seen.
        mean_batch: crops in a forward pass.
        queue_share: of the time of requests that they waited for a forward pass.
        cpu_ms_per_request: of the server, all answers counted.
    """

    requests: Counter[str]
    crops: int
    mean_batch: float | None
    queue_share: float | None
    cpu_ms_per_request: float | None


def parse_counters(exposition: str) -> Counters:
    """Counters from Prometheus's text format."""
    requests: Counter[str] = Counter()
    sums: defaultdict[str, float] = defaultdict(float)
    for name, labels, value in _SAMPLE.findall(exposition):
        found = dict(_LABEL.findall(labels))
        if name == "focalpoint_requests_total":
            if found["route"] == ROUTE:
                requests[found["code"]] += int(float(value))
        elif name == "focalpoint_stage_seconds_sum":
            sums["request_seconds"] += float(value)
            if found["stage"] == "queue":
                sums["queue_seconds"] += float(value)
        elif name in ("focalpoint_crops_total", "focalpoint_batch_size_count", "process_cpu_seconds_total"):
            sums[name] += float(value)
    return Counters(
        requests,
        sums["focalpoint_crops_total"],
        sums["focalpoint_batch_size_count"],
        sums["queue_seconds"],
        sums["request_seconds"],
        sums.get("process_cpu_seconds_total"),
    )


def scrape(url: str) -> str:
    """`/metrics` of a server.

    Raises:
        OSError: it is not there.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url.rstrip("/") + "/metrics", timeout=30) as answer:
        text: str = answer.read().decode("utf-8")
    return text


def identity(exposition: str) -> Identity | None:
    """The first model that is served."""
    found = re.search(r"^focalpoint_model_info\{(.*)\} 1", exposition, re.MULTILINE)
    labels = dict(_LABEL.findall(found[1])) if found else {}
    return Identity(labels["model"], labels["version"], labels["sha256"]) if labels else None


def difference(before: Counters, after: Counters) -> Difference:
    """What happened between two scrapes."""
    requests = after.requests - before.requests
    crops, batches = after.crops - before.crops, after.batches - before.batches
    seconds = after.request_seconds - before.request_seconds
    cpu_ms = None
    if after.cpu_seconds is not None and before.cpu_seconds is not None and requests:
        cpu_ms = 1000 * (after.cpu_seconds - before.cpu_seconds) / requests.total()
    return Difference(
        requests,
        int(crops),
        crops / batches if batches else None,
        (after.queue_seconds - before.queue_seconds) / seconds if seconds else None,
        cpu_ms,
    )


def disagreements(statuses: Mapping[int | str, int], crops_per_answer: list[int], server: Difference) -> list[str]:
    """Sentences on what the server counted otherwise than the client; none where they agree.

    Args:
        statuses: answers that the client has seen; errors without a status are names.
        crops_per_answer: crops of each picture that was sent.
        server: what the server counted meanwhile.
    """
    seen = Counter({str(status): count for status, count in statuses.items() if isinstance(status, int)})
    found = []
    # Of a broken connection the client has no status, while the server may have counted one.
    broken = sum(count for status, count in statuses.items() if not isinstance(status, int))
    for code in sorted(seen.keys() | server.requests.keys()):
        more = server.requests[code] - seen[code]
        if more < 0 or more > broken:
            found.append(f"status {code}: the client has seen {seen[code]}, the server counts {server.requests[code]}")
    answered = seen["200"]
    least, most = answered * min(crops_per_answer), answered * max(crops_per_answer)
    if server.crops < least or (server.crops > most and answered == seen.total() and not broken):
        expected = f"{least}" if least == most else f"{least} to {most}"
        found.append(f"crops: expected {expected} for {answered} answers, the server counts {server.crops}")
    return found


def scrape_when_counted(url: str, before: Counters, answers: int) -> Counters:
    """The counters once the server has counted so many answers; as they are after a second."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        after = parse_counters(scrape(url))
        if (after.requests - before.requests).total() >= answers or time.monotonic() > give_up:
            return after
        time.sleep(0.02)
