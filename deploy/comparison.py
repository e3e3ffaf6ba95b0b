"""The service beside its ceilings: measured in turns, one idle while the other works, as ratios of medians.

On a machine that others share, one run says little: what slows the one round slows its neighbour too, so rounds take
turns and what is compared are the medians over rounds.
"""

import json
import statistics
import time
import urllib.request
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
_PASSES = 2  # so that a moment in which the machine was slow decides nothing

# The service rounds to thousandths of a pixel, a batch of another size sums in another order, and a service may decode
# a large picture at less than its size; what does other work is further off.
SAME_ANSWER_CROP_PIXELS = 0.5
ARRANGEMENT = ("threads", "group", "intra_op_threads")

Arrangement = dict[str, Any]
Rounds = dict[str, list[dict[str, Any]]]


def arrangements(cores: int) -> list[Arrangement]:
    """The arrangements of the plain pipeline among which the fastest is the ceiling."""
    return [
        {"threads": threads, "group": group, "intra_op_threads": 1}
        for threads in (cores, 2 * cores)
        for group in (1, 2, 4)
    ]


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
    passes = [
        [{**one, **ceilings.ask(do="throughput", seconds=seconds, **one)} for one in arrangements(cores)]
        for _ in range(_PASSES)
    ]
    best_of_each = [max(same, key=_per_second) for same in zip(*passes, strict=True)]
    return sorted(best_of_each, key=_per_second, reverse=True)


def probe_concurrencies(url: str, pictures: Sequence[Picture], seconds: float = _PROBE_SECONDS) -> dict[int, float]:
    """Answers per second of the service at each concurrency, for a moment."""
    messages = [keypoints_message(url, picture.data, picture.query) for picture in pictures]
    passes = [
        [run(closed_loop(url, messages, concurrency, seconds)).rate() for concurrency in CONCURRENCIES]
        for _ in range(_PASSES)
    ]
    return dict(zip(CONCURRENCIES, map(max, zip(*passes, strict=True)), strict=True))


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

    Raises:
        SystemExit: the two do not give the same answers, or a round does not count.

    Returns:
        The arrangements, concurrencies and rounds, and under `ratios` what they come to:
        `throughput` and `cpu` are service / pipeline, `latency_ms` is service - pipeline with one picture at a time.
    """
    apart = largest_difference(url, ceilings, pictures)
    if not apart <= SAME_ANSWER_CROP_PIXELS:
        raise SystemExit(f"service and pipeline do different work: their answers lie {apart:.2f} crop pixels apart")
    pipelines = probe_arrangements(ceilings, cores)
    best = {name: pipelines[0][name] for name in ARRANGEMENT}
    concurrencies = probe_concurrencies(url, pictures)
    saturation = max(concurrencies, key=lambda concurrency: concurrencies[concurrency])
    in_turns = take_turns(url, ceilings, pictures, best, saturation, cores=cores, rounds=rounds, seconds=seconds)
    return {
        "largest_difference_crop_px": apart,
        "pipelines": pipelines,
        "concurrencies": {str(concurrency): rate for concurrency, rate in concurrencies.items()},
        "saturation": saturation,
        "rounds": in_turns,
        "service_per_second": _of(in_turns, "service", "per_second"),
        "ratios": ratios(in_turns),
    }


def take_turns(
    url: str,
    ceilings: Ceilings,
    pictures: Sequence[Picture],
    arrangement: Arrangement,
    concurrency: int,
    *,
    cores: int,
    rounds: int,
    seconds: float,
) -> Rounds:
    """Rounds of the plain pipeline in an arrangement and the service at a concurrency, and of both with one picture."""
    alone = [{**arrangement, "threads": 1, "group": 1, "intra_op_threads": n} for n in {1, cores}]
    in_turns: Rounds = {"pipeline": [], "service": [], "pipeline_1": [], "service_1": []}
    for _ in range(rounds):
        in_turns["pipeline"].append(ceilings.ask(do="throughput", seconds=seconds, **arrangement))
        in_turns["service"].append(service_round(url, pictures, concurrency, seconds))
        latencies = {
            f"p50_ms_intra_op_{one['intra_op_threads']}": ceilings.ask(
                do="latency", seconds=seconds / 2 / len(alone), **one
            )["p50_ms"]
            for one in alone
        }
        in_turns["pipeline_1"].append({"p50_ms": min(latencies.values()), **latencies})
        in_turns["service_1"].append(service_round(url, pictures, 1, seconds / 2))
    return in_turns


def largest_difference(url: str, ceilings: Ceilings, pictures: Sequence[Picture]) -> float:
    """How many crop pixels the answers of service and pipeline lie apart at most: whether both do the same work."""
    plain = ceilings.ask(do="answers", **arrangements(1)[0])["answers"]
    return max(
        float(np.abs(np.array(points) - np.array(plain_points)).max() * scale)
        for picture, plain_instances in zip(pictures, plain, strict=True)
        for points, (plain_points, scale) in zip(keypoints_of(url, picture), plain_instances, strict=True)
    )


def keypoints_of(url: str, picture: Picture) -> list[list[list[float]]]:
    """Keypoints (boxes, K, 2) in image pixels, as the service answers."""
    request = urllib.request.Request(
        f"{url.rstrip('/')}/v1/keypoints{picture.query}",
        data=picture.data,
        headers={"Content-Type": "application/octet-stream"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        instances = json.load(answer)["instances"]
    return [[[point["x"], point["y"]] for point in instance["keypoints"]] for instance in instances]


def ratios(in_turns: Rounds) -> dict[str, float | None]:
    """What rounds in turns come to; None where the server does not count its CPU seconds."""
    cpu, pipeline_cpu = _median(in_turns["service"], "cpu_ms"), _median(in_turns["pipeline"], "cpu_ms")
    return {
        "throughput": _of(in_turns, "service", "per_second") / _of(in_turns, "pipeline", "per_second"),
        "cpu": None if cpu is None or pipeline_cpu is None else cpu / pipeline_cpu,
        "latency_ms": _of(in_turns, "service_1", "p50_ms") - _of(in_turns, "pipeline_1", "p50_ms"),
    }


def _per_second(measured: dict[str, Any]) -> float:
    return float(measured["per_second"])


def _of(in_turns: Rounds, name: str, figure: str) -> float:
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
        how = f"{one['threads']} threads, groups of {one['group']}, {one['intra_op_threads']} intra-op"
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
