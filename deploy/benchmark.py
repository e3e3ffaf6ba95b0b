"""The speed of a running service, measured so that it cannot flatter; what it does and why: docs/performance.md.

    python deploy/benchmark.py --url http://127.0.0.1:8000 --concurrency 1,4,16
    python deploy/benchmark.py --start models/face68 --search --p99-limit-ms 100 --half-load
    python deploy/benchmark.py --start models/face68 --ceilings models/face68 --rounds 3

Closed loops (--concurrency) post, wait for the answer and post the next; open ones (--rate) post when a request is due,
whatever the server does. Latencies count from when a request was due. Each level runs in windows until three in a row
agree, or is called unstable. The server's own counters are compared with the client's after each.
The exit code is 1 where a request failed otherwise than by 429, the counters differ, or a level does not count.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmark_pictures import SIZES, Picture, portraits
from benchmark_report import conclusions, markdown, table
from ceilings import ceilings_process
from comparison import compare, model_alone
from latency_plot import check_plotting, latency_plot
from load_generator import ARRIVALS, Load, closed_loop, keypoints_message, open_loop, run
from load_levels import errors_of, figures, in_windows
from own_server import own_server
from rate_search import peak, search_rate
from run_description import cores, describe_run
from server_counters import difference, disagreements, parse_counters, scrape, scrape_when_counted
from stall_test import stall

CONCURRENCIES = [1, 4, 16]
DEFAULT_MODEL = Path("models/face68")
_WARM_UP_SECONDS = 1.0
_LONGEST_SECONDS = 3600.0

Level = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    options = parser().parse_args(arguments)
    given = list(sys.argv[1:] if arguments is None else arguments)
    pictures = chosen_pictures(options)
    if options.plot:
        check_plotting()
    if options.self_test:
        return self_test(options, pictures[0])
    with server_url(options) as url:
        result = measure(options, url, pictures)
        result["run"] = describe_run(url, given)
    sys.stdout.write(table(result["levels"]) if result["levels"] else "")
    sys.stdout.write("".join(line + "\n" for line in conclusions(result)))
    if options.json:
        _write(options.json, (json.dumps(result, indent=2) + "\n").encode())
    if options.markdown:
        _write(options.markdown, markdown(result).encode())
    if options.plot:
        _write(options.plot, latency_plot(result["levels"]))
    return int(any(errors_of(one) or one["disagreements"] or one["invalid"] for one in result["levels"]))


def measure(options: argparse.Namespace, url: str, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Everything that was asked for, picture by picture."""
    result: dict[str, Any] = {"levels": [], "searches": [], "model_alone": [], "comparisons": []}
    result["pictures"] = [{"name": one.name, "bytes": len(one.data), "boxes": one.boxes} for one in pictures]
    for sent in [list(pictures)] if options.mix else [[one] for one in pictures]:
        level = partial(measure_level, url, sent, options.window, options.windows)
        run(closed_loop(url, _messages(url, sent), 1, _WARM_UP_SECONDS))  # not counted
        highest = 0.0
        if options.ceilings:
            with ceilings_process(options.ceilings, sent) as ceilings:
                if not result["model_alone"]:
                    result["model_alone"] = model_alone(ceilings, cores())
                found = compare(
                    url, ceilings, sent, cores=cores(), rounds=options.rounds, seconds=options.round_seconds
                )
            result["comparisons"].append({"picture": _name(sent), **found})
            highest = float(found["service_per_second"])
        levels = [level("closed", concurrency) for concurrency in concurrencies(options)]
        highest = max(highest, peak(levels))
        levels += [level("open", rate, arrivals=options.arrivals) for rate in options.rate]
        if options.half_load:
            levels.append({**level("open", highest / 2, arrivals=options.arrivals), "half_load": True})
        if options.search:
            at_rate = partial(level, "open", arrivals=options.arrivals)
            rate, searched = search_rate(at_rate, highest, options.p99_limit_ms)
            found = {"picture": _name(sent), "rate": rate, "p99_limit_ms": options.p99_limit_ms, "levels": searched}
            result["searches"].append(found)
        result["levels"] += levels
    return result


def self_test(options: argparse.Namespace, picture: Picture) -> int:
    """Pause a server of our own for two seconds and see whether the figures show it."""
    with own_server(options.start or DEFAULT_MODEL, shlex.split(options.serve)) as server:
        found = stall(server, picture.data, picture.query)
    sys.stdout.write(f"{found.sentence}\n")
    if found.complaint:
        sys.stderr.write(f"the self-test failed: {found.complaint}\n")
    return int(found.complaint is not None)


def concurrencies(options: argparse.Namespace) -> list[int]:
    """The closed loops: those asked for; the default ones where nothing else is, or where the peak is needed."""
    needs_peak = (options.search or options.half_load) and not options.ceilings
    if options.concurrency is None:
        return CONCURRENCIES if needs_peak or not (options.rate or options.ceilings) else []
    return list(options.concurrency)


def measure_level(
    url: str,
    pictures: Sequence[Picture],
    window_seconds: float,
    most_windows: int,
    mode: str,
    amount: float,
    *,
    arrivals: str = "constant",
) -> Level:
    """One level of load, and what the server counted meanwhile.

    Args:
        url: of the server.
        pictures: sent in turn.
        window_seconds, most_windows: as for `in_windows`.
        mode: `closed` or `open`.
        amount: connections of a closed loop, requests per second of an open one.
        arrivals: of an open loop.
    """
    messages = _messages(url, pictures)

    def start(load: Load, stop: Callable[[], bool]) -> Coroutine[Any, Any, Load]:
        if mode == "closed":
            return closed_loop(url, messages, int(amount), _LONGEST_SECONDS, load=load, stop=stop)
        return open_loop(url, messages, amount, _LONGEST_SECONDS, arrivals=arrivals, load=load, stop=stop)

    before = parse_counters(scrape(url))
    windows, load = run(in_windows(start, window_seconds, most_windows))
    statuses = load.statuses()
    server = difference(before, scrape_when_counted(url, before, statuses.total()))
    which = {"concurrency": int(amount)} if mode == "closed" else {"rate": amount, "arrivals": arrivals}
    return {
        "picture": _name(pictures),
        "mode": mode,
        **which,
        **figures(windows, load),
        "mean_batch": server.mean_batch,
        "queue_share": server.queue_share,
        "cpu_ms_per_request": server.cpu_ms_per_request,
        "disagreements": disagreements(statuses, [len(one.boxes) or 2 for one in pictures], server),
    }


def chosen_pictures(options: argparse.Namespace) -> list[Picture]:
    """What to send.

    Raises:
        SystemExit: boxes were asked for with pictures of which nobody knows any.
    """
    if options.image:
        if options.boxes:
            raise SystemExit("--boxes: expected the portrait, whose box is known; found --image")
        return [Picture(path.name, path.read_bytes()) for path in options.image]
    sizes = options.sizes or (SIZES[:1] if options.ceilings else SIZES)
    return portraits(sizes, with_box=options.boxes)


@contextmanager
def server_url(options: argparse.Namespace) -> Iterator[str]:
    """The URL of the server that is measured; one of our own where that is asked for."""
    if options.start is None:
        yield options.url
        return
    with own_server(options.start, shlex.split(options.serve)) as server:
        yield server.url


def _write(path: Path, content: bytes) -> None:
    """Aside, then renamed: a file is whole or not there."""
    aside = path.with_name(path.name + ".partial")
    aside.write_bytes(content)
    aside.replace(path)


def _messages(url: str, pictures: Sequence[Picture]) -> list[bytes]:
    return [keypoints_message(url, picture.data, picture.query) for picture in pictures]


def _name(pictures: Sequence[Picture]) -> str:
    return ", ".join(picture.name for picture in pictures)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    server = made.add_argument_group("the server")
    server.add_argument("--url", default="http://127.0.0.1:8000", help="one that runs; default: %(default)s")
    server.add_argument("--start", type=Path, metavar="MODEL_FOLDER", help="start one of its own instead")
    server.add_argument("--serve", default="", metavar="FLAGS", help="flags of `focalpoint serve` for --start, in one")
    sent = made.add_argument_group("what is sent")
    sent.add_argument("--sizes", type=_sizes, help="of the portrait; default: 640x480,1920x1080,4000x3000")
    sent.add_argument("--image", type=Path, action="append", default=[], help="other pictures; repeatable")
    sent.add_argument("--boxes", action="store_true", help="with the box of the face; without it the model runs twice")
    sent.add_argument("--mix", action="store_true", help="all pictures in turn in one load; default: one after another")
    load = made.add_argument_group("the load")
    load.add_argument("--concurrency", type=_integers, help="closed loops with so many connections; default: 1,4,16")
    load.add_argument("--rate", type=_numbers, default=[], help="open loops with so many requests per second")
    load.add_argument("--arrivals", choices=ARRIVALS, default="constant", help="of open loops; default: %(default)s")
    load.add_argument("--window", type=float, default=2.0, help="least seconds of a window; default: %(default)s")
    load.add_argument("--windows", type=int, default=10, help="most windows of a level; default: %(default)s")
    load.add_argument("--half-load", action="store_true", help="an open loop at half of the peak too")
    load.add_argument("--search", action="store_true", help="find the highest rate that keeps --p99-limit-ms")
    load.add_argument("--p99-limit-ms", type=float, default=100.0, help="default: %(default)s")
    ceilings = made.add_argument_group("what is possible on this machine")
    ceilings.add_argument("--ceilings", type=Path, metavar="MODEL_FOLDER", help="the bundle that the server serves")
    ceilings.add_argument("--rounds", type=int, default=3, help="of service and ceiling in turns; default: %(default)s")
    ceilings.add_argument("--round-seconds", type=float, default=3.0, help="of each; default: %(default)s")
    output = made.add_argument_group("output")
    output.add_argument("--json", type=Path, help="write all figures here")
    output.add_argument("--markdown", type=Path, help="write a report here")
    output.add_argument("--plot", type=Path, help="draw latency over throughput, a PNG; needs matplotlib")
    made.add_argument("--self-test", action="store_true", help="pause a server for two seconds: is it seen?")
    return made


def _integers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _sizes(text: str) -> list[tuple[int, int]]:
    sizes = [tuple(int(number) for number in size.split("x")) for size in text.split(",")]
    if any(len(size) != 2 for size in sizes):
        raise ValueError(text)
    return [(size[0], size[1]) for size in sizes]


if __name__ == "__main__":
    sys.exit(main())
