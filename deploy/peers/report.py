"""What a comparison found, as JSON and as a Markdown table: every ratio above 1 is in favour of the service."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from peers.rounds import Figures, median


class Round(NamedTuple):
    """A peer and the service one after the other: at their peaks, then both at the same rate."""

    peer_peak: Figures
    service_peak: Figures
    rate: float
    peer_loaded: Figures
    service_loaded: Figures


class Compared(NamedTuple):
    """All rounds of a peer."""

    name: str
    title: str
    version: str
    configuration: str
    differs: str
    concurrency: int
    rounds: Sequence[Round]


class Missing(NamedTuple):
    """A peer without figures, and why."""

    name: str
    title: str
    reason: str


class Ratios(NamedTuple):
    """The service against a peer, the median over rounds of the ratio within each."""

    throughput: float
    cpu: float
    p99: float


def ratios(compared: Compared) -> Ratios:
    """How many times the throughput, how many times less processor time, how many times shorter p99 at equal load."""
    rounds = compared.rounds
    return Ratios(
        statistics.median(one.service_peak.requests_per_second / one.peer_peak.requests_per_second for one in rounds),
        statistics.median(one.peer_peak.cpu_ms_per_request / one.service_peak.cpu_ms_per_request for one in rounds),
        statistics.median(one.peer_loaded.p99_ms / one.service_loaded.p99_ms for one in rounds),
    )


_HEAD = (
    "| | requests/s: peer | service | service / peer | CPU ms per request: peer | service | peer / service "
    "| rate of equal load | p99 ms: peer | service | peer / service | memory MB: peer | service |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)


def table(compared: Sequence[Compared]) -> str:
    """A row for each peer, medians over the rounds."""
    return _HEAD + "".join(map(_row, compared))


def _row(compared: Compared) -> str:
    found = ratios(compared)
    peer, service = (median([getattr(one, name) for one in compared.rounds]) for name in ("peer_peak", "service_peak"))
    peer_loaded, service_loaded = (
        median([getattr(one, name) for one in compared.rounds]) for name in ("peer_loaded", "service_loaded")
    )
    rate = statistics.median(one.rate for one in compared.rounds)
    cells = [
        f"{compared.title} ({compared.version})",
        f"{peer.requests_per_second:.0f}",
        f"{service.requests_per_second:.0f}",
        f"**{found.throughput:.2f}**",
        f"{peer.cpu_ms_per_request:.1f}",
        f"{service.cpu_ms_per_request:.1f}",
        f"**{found.cpu:.2f}**",
        f"{rate:.0f}",
        f"{peer_loaded.p99_ms:.0f}",
        f"{service_loaded.p99_ms:.0f}",
        f"**{found.p99:.2f}**",
        f"{peer_loaded.memory_mb:.0f}",
        f"{service_loaded.memory_mb:.0f}",
    ]
    return "| " + " | ".join(cells) + " |\n"


def markdown(conditions: dict[str, Any], compared: Sequence[Compared], missing: Sequence[Missing]) -> str:
    """The table, how each peer was set up, what is missing and why, and the conditions."""
    lines = [table(compared), "\n"]
    lines += [
        f"- {one.title}: {one.configuration}; peak at {one.concurrency} connections. {one.differs}.\n"
        for one in compared
    ]
    lines += [f"- {one.title}: not measured. {one.reason}\n" for one in missing]
    errors = {
        one.title: sum(round_.peer_peak.errors + round_.peer_loaded.errors for round_ in one.rounds) for one in compared
    }
    failed = ", ".join(f"{title} {count}" for title, count in errors.items() if count)
    lines.append(f"\nRequests that failed: {failed or 'none'}.\n\n")
    lines += [f"- {name}: {value}\n" for name, value in conditions.items()]
    return "".join(lines)


def as_json(conditions: dict[str, Any], compared: Sequence[Compared], missing: Sequence[Missing]) -> dict[str, Any]:
    """All figures of all rounds."""
    return {
        "conditions": conditions,
        "compared": [
            {
                **one._asdict(),
                "rounds": [
                    {
                        name: value._asdict() if isinstance(value, Figures) else value
                        for name, value in round_._asdict().items()
                    }
                    for round_ in one.rounds
                ],
                "ratios": ratios(one)._asdict(),
            }
            for one in compared
        ],
        "missing": [one._asdict() for one in missing],
    }
