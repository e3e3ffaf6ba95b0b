"""The service beside its ceilings: measured in turns, one idle while the other works, as ratios of medians.

On a machine that others share, one run says little: what slows the one round slows its neighbour too, so rounds take
turns and what is compared are the medians over rounds.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from benchmark_pictures import Picture
from ceilings import Ceilings
from load_generator import closed_loop, keypoints_message, run
from server_counters import difference, disagreements, parse_counters, scrape, scrape_when_counted

BATCHES = (1, 2, 4, 8, 16)
CONCURRENCIES = (2, 4, 8, 16, 32)
_PROBE_SECONDS = 0.5

Arrangement = dict[str, Any]


def arrangements(cores: int) -> list[Arrangement]:
    """The arrangements of the plain pipeline among which the fastest is the ceiling."""
    grouped = [
        {"threads": threads, "group": group, "intra_op_threads": 1, "batcher": False}
        for threads in (cores, 2 * cores)
        for group in (1, 2, 4)
    ]
    batched = [
        {"threads": 2 * cores, "group": 1, "intra_op_threads": intra, "batcher": True} for intra in sorted({1, cores})
    ]
    return grouped + batched


def model_alone(ceilings: Ceilings, cores: int, seconds: float = _PROBE_SECONDS) -> list[dict[str, Any]]:
    """Crops per second of bare `session.run` at each batch: one session on all cores, and one thread for each core."""
    return [
        {
            "batch": batch,
            "one_session_all_cores": ceilings.ask(
                do="crops", batch=batch, threads=1, intra_op_threads=cores, seconds=seconds
            )["per_second"],
            "one_thread_per_core": ceilings.ask(
                do="crops", batch=batch, threads=cores, intra_op_threads=1, seconds=seconds
            )["per_second"],
        }
        for batch in BATCHES
    ]


def probe_arrangements(ceilings: Ceilings, cores: int, seconds: float = _PROBE_SECONDS) -> list[dict[str, Any]]:
    """Every arrangement of the plain pipeline for a moment, the fastest first."""
    found = [
        {**arrangement, **ceilings.ask(do="throughput", seconds=seconds, **arrangement)}
        for arrangement in arrangements(cores)
    ]
    return sorted(found, key=lambda one: -float(one["per_second"]))


def probe_concurrencies(url: str, pictures: Sequence[Picture], seconds: float = _PROBE_SECONDS) -> dict[int, float]:
    """Answers per second of the service at each concurrency, for a moment."""
    messages = [keypoints_message(url, picture.data, picture.query) for picture in pictures]
    return {concurrency: run(closed_loop(url, messages, concurrency, seconds)).rate() for concurrency in CONCURRENCIES}


def service_round(url: str, pictures: Sequence[Picture], concurrency: int, seconds: float) -> dict[str, Any]:
    """The service under a closed loop for some seconds: throughput, CPU of server and generator, latency.

    Raises:
        SystemExit: the server counts otherwise than the client, or not every answer was a 200.
    """
    messages = [keypoints_message(url, picture.data, picture.query) for picture in pictures]
    before = parse_counters(scrape(url))
    cpu = time.process_time()
    load = run(closed_loop(url, messages, concurrency, seconds))
    generator_ms = 1000 * (time.process_time() - cpu) / len(load.answered)
    statuses = load.statuses()
    server = difference(before, scrape_when_counted(url, before, statuses.total()))
    wrong = disagreements(statuses, [len(picture.boxes) or 2 for picture in pictures], server)
    if wrong or set(statuses) != {200}:
        raise SystemExit(f"a round that does not count: {'; '.join(wrong) or dict(statuses)}")
    p50_ms, p99_ms = np.percentile(load.latencies_ms(200), (50, 99))
    return {
        "per_second": load.rate(),
        "cpu_ms": server.cpu_ms_per_request,
        "generator_cpu_ms": generator_ms,
        "mean_batch": server.mean_batch,
        "queue_share": server.queue_share,
        "p50_ms": float(p50_ms),
        "p99_ms": float(p99_ms),
    }


def compare(
    url: str, ceilings: Ceilings, pictures: Sequence[Picture], *, cores: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """The service and the plain pipeline in turns.

    Args:
        url: of a server on this machine that nobody else asks.
        ceilings: the process with the plain pipeline, given the same pictures.
        pictures: what both work on.
        cores: of this machine.
        rounds: of each.
        seconds: of each throughput round; a latency round takes half of it.

    Returns:
        The arrangements, concurrencies and rounds, and under `ratios` what they come to:
        `throughput` and `cpu` are service / pipeline, `latency_ms` is service - pipeline with one picture at a time.
    """
    pipelines = probe_arrangements(ceilings, cores)
    best = {name: pipelines[0][name] for name in ("threads", "group", "intra_op_threads", "batcher")}
    concurrencies = probe_concurrencies(url, pictures)
    saturation = max(concurrencies, key=lambda concurrency: concurrencies[concurrency])
    alone = [{"threads": 1, "group": 1, "intra_op_threads": intra, "batcher": False} for intra in sorted({1, cores})]
    in_turns: dict[str, list[dict[str, Any]]] = {"pipeline": [], "service": [], "pipeline_1": [], "service_1": []}
    for _ in range(rounds):
        in_turns["pipeline"].append(ceilings.ask(do="throughput", seconds=seconds, **best))
        in_turns["service"].append(service_round(url, pictures, saturation, seconds))
        latencies = [ceilings.ask(do="latency", seconds=seconds / 4, **one)["p50_ms"] for one in alone]
        in_turns["pipeline_1"].append({"p50_ms": min(latencies)})
        in_turns["service_1"].append(service_round(url, pictures, 1, seconds / 2))
    return {
        "pipelines": pipelines,
        "concurrencies": {str(concurrency): rate for concurrency, rate in concurrencies.items()},
        "saturation": saturation,
        "rounds": in_turns,
        "service_per_second": _of(in_turns, "service", "per_second"),
        "ratios": ratios(in_turns),
    }


def ratios(in_turns: dict[str, list[dict[str, Any]]]) -> dict[str, float | None]:
    """What rounds in turns come to; None where the server does not count its CPU seconds."""
    cpu, pipeline_cpu = _median(in_turns["service"], "cpu_ms"), _median(in_turns["pipeline"], "cpu_ms")
    return {
        "throughput": _of(in_turns, "service", "per_second") / _of(in_turns, "pipeline", "per_second"),
        "cpu": None if cpu is None or pipeline_cpu is None else cpu / pipeline_cpu,
        "latency_ms": _of(in_turns, "service_1", "p50_ms") - _of(in_turns, "pipeline_1", "p50_ms"),
    }


def _of(in_turns: dict[str, list[dict[str, Any]]], name: str, figure: str) -> float:
    median = _median(in_turns[name], figure)
    assert median is not None, f"every round has {figure}"
    return median


def _median(rounds: Sequence[dict[str, Any]], figure: str) -> float | None:
    values = [one[figure] for one in rounds]
    return None if None in values else statistics.median(values)


def comparison_lines(found: dict[str, Any]) -> list[str]:
    """The comparison as text."""
    lines = ["plain pipeline without HTTP, arrangements (images/s, CPU ms per image):"]
    for one in found["pipelines"]:
        how = "the service's batcher" if one["batcher"] else f"groups of {one['group']}"
        how = f"{one['threads']} threads, {how}, {one['intra_op_threads']} intra-op"
        lines.append(f"  {how:52} {one['per_second']:8.1f} {one['cpu_ms']:8.2f}")
    rates = ", ".join(f"{concurrency}: {rate:.1f}" for concurrency, rate in found["concurrencies"].items())
    lines += [f"service, answers/s by concurrency: {rates}", f"in turns, the service at {found['saturation']}:"]
    for name, rounds in found["rounds"].items():
        figures = [figure for figure in rounds[0] if rounds[0][figure] is not None]
        medians = "  ".join(f"{figure} {_median(rounds, figure):.2f}" for figure in figures)
        lines.append(f"  {name:10} {medians}")
    ratio = found["ratios"]
    cpu = "unknown" if ratio["cpu"] is None else f"{ratio['cpu']:.3f}"
    lines.append(
        f"service / pipeline: throughput {ratio['throughput']:.3f}, CPU per image {cpu}; "
        f"one at a time {ratio['latency_ms']:+.2f} ms"
    )
    return lines
