"""The course of a comparison: configurations tried one after the other, and rounds of peer and service in turn."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from peers.catalogue import PEERS, Configuration, Peer
from peers.environments import version_of
from peers.report import Compared, Missing, Round
from peers.rounds import Figures, closed, open_at, warm_up
from peers.servers import FailedError, Running, check_same, peer_server, service
from peers.work_alone import Alone, work_alone

SHARE_OF_PEAK = 0.6


class Setting(NamedTuple):
    """What a comparison is made with.

    Attributes:
        bundle: what all serve.
        jpeg: what all are asked.
        seconds: of each figure.
        levels: concurrencies among which a server's peak is looked for.
        cores: of this machine.
        serve: flags of the service.
    """

    bundle: Path
    jpeg: bytes
    seconds: float
    levels: Sequence[int]
    cores: int
    serve: Sequence[str] = ()


class Found(NamedTuple):
    """What came of all rounds."""

    compared: list[Compared]
    failed: list[Missing]
    alone: list[Alone]


def sweep(peer: Peer, python: Path, setting: Setting) -> list[dict[str, Any]]:
    """Figures of each configuration, or why it has none, in the catalogue's order; at the middle concurrency."""
    concurrency = setting.levels[len(setting.levels) // 2]
    with service(setting.bundle, setting.jpeg, setting.serve) as ours:
        expected = ours.points()
    rows: list[dict[str, Any]] = []
    for configuration in peer.configurations:
        try:
            with peer_server(peer, python, configuration, setting.bundle, setting.jpeg) as running:
                check_same(expected, running.points())
                warm_up(running, concurrency)
                figures = closed(running, concurrency, setting.seconds)
        except FailedError as error:
            say(f"{peer.title}, {configuration}: {error}")
            rows.append({"configuration": str(configuration), "failed": str(error)})
        else:
            say(_line(f"{peer.title}, {configuration}", figures))
            rows.append({"configuration": str(configuration), **figures._asdict()})
    return rows


def best(peer: Peer, rows: Sequence[dict[str, Any]]) -> Configuration:
    """The configuration with the highest throughput of a sweep."""
    return peer.configurations[int(np.argmax([row.get("requests_per_second", 0.0) for row in rows]))]


def compare(
    chosen: Mapping[str, Configuration], interpreters: Mapping[str, Path], setting: Setting, rounds: int
) -> Found:
    """All rounds; a peer that fails drops out. In each round the work is done without a server, too."""
    measured: dict[str, list[Round]] = {name: [] for name in chosen}
    levels: dict[str, int] = {}
    failed: dict[str, Missing] = {}
    alone: list[Alone] = []
    with service(setting.bundle, setting.jpeg, setting.serve) as ours:
        expected = ours.points()
        own_level = _best_level(ours, setting)
        for number in range(rounds):
            alone.append(work_alone(setting.bundle, setting.jpeg, setting.cores, setting.seconds))
            for name in [name for name in chosen if name not in failed]:
                peer = PEERS[name]
                before = number % 2 == 1  # in turn, so that a drift of the machine favours neither
                own_peak = _peak(ours, own_level, setting) if before else None
                try:
                    with peer_server(peer, interpreters[name], chosen[name], setting.bundle, setting.jpeg) as running:
                        check_same(expected, running.points())
                        if name not in levels:
                            levels[name] = _best_level(running, setting)
                        peak = _peak(running, levels[name], setting)
                        rate = SHARE_OF_PEAK * peak.requests_per_second
                        loaded = open_at(running, rate, setting.seconds)
                except FailedError as error:
                    say(f"{peer.title}: {error}")
                    failed[name] = Missing(name, peer.title, f"It failed: {str(error).splitlines()[0]}")
                    continue
                own_peak = own_peak or _peak(ours, own_level, setting)
                own_loaded = open_at(ours, rate, setting.seconds)
                measured[name].append(Round(peak, own_peak, rate, loaded, own_loaded))
                say(f"round {number + 1}: {_line(peer.title, peak)}")
                say(f"         {_line('service', own_peak)}")
    compared = [
        Compared(
            name=name,
            title=PEERS[name].title,
            version=f"{PEERS[name].package} {version_of(interpreters[name], PEERS[name].package)}",
            configuration=str(chosen[name]),
            differs=PEERS[name].differs,
            concurrency=levels[name],
            rounds=measured[name],
        )
        for name in chosen
        if name not in failed
    ]
    return Found(compared, list(failed.values()), alone)


def say(line: str) -> None:
    """Tell how far it has come."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _peak(server: Running, concurrency: int, setting: Setting) -> Figures:
    warm_up(server, concurrency)
    return closed(server, concurrency, setting.seconds)


def _best_level(server: Running, setting: Setting) -> int:
    """The concurrency at which it answers most."""
    found = {level: _peak(server, level, setting).requests_per_second for level in setting.levels}
    return max(found, key=found.__getitem__)


def _line(title: str, figures: Figures) -> str:
    return (
        f"{title}: {figures.requests_per_second:.1f} requests/s, {figures.cpu_ms_per_request:.2f} CPU ms per request, "
        f"p50 {figures.p50_ms:.1f} ms, p99 {figures.p99_ms:.1f} ms, {figures.memory_mb:.0f} MB, {figures.errors} errors"
    )
