"""The same bundle behind other servers, and behind this one, in one run: throughput, processor time, latency, memory.

Every peer does the same work for a request (`peers/keypoint_work.py`) and must answer the same points before it is
measured. In each round a peer's peak and its latency at part of that are measured, and right before or after it the
service's own peak and its latency at the very same rate; so what drifts on the machine meets both.

    python deploy/bench_peers.py                       # all peers, as they were found best
    python deploy/bench_peers.py --sweep               # first try every configuration of each
    python deploy/bench_peers.py --peers litserve,bentoml --rounds 1 --seconds 2
"""

import argparse
import json
import platform
import shlex
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark_pictures import portraits
from peers.catalogue import PEERS
from peers.comparing import SHARE_OF_PEAK, Setting, best, compare, say, sweep
from peers.environments import ROOT, RUNS, NotInstalledError, install
from peers.report import Missing, as_json, markdown
from peers.work_alone import Alone
from run_description import cores, cpu_model, installed_versions

_SIZE = (640, 480)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; the exit code is 1 where a peer that is installed could not be measured."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(given)
    [picture] = portraits([_SIZE], with_box=False)
    setting = Setting(options.model, picture.data, options.seconds, options.levels, cores(), options.serve)
    interpreters, missing = _interpreters(options.peers)
    chosen = {name: PEERS[name].configurations[0] for name in interpreters}
    if options.sweep:
        swept = {name: sweep(PEERS[name], interpreters[name], setting) for name in interpreters}
        _write(options.output / "sweep.json", json.dumps(swept, indent=2) + "\n")
        chosen = {name: best(PEERS[name], swept[name]) for name in interpreters}
    if options.rounds == 0:
        return 0
    found = compare(chosen, interpreters, setting, options.rounds)
    conditions = _conditions(given, setting, options.rounds, found.alone)
    absent = [*missing, *found.failed]
    _write(options.output / "peers.json", json.dumps(as_json(conditions, found.compared, absent), indent=2) + "\n")
    report = markdown(conditions, found.compared, absent)
    _write(options.output / "peers.md", report)
    say("\n" + report)
    return int(bool(found.failed))


def _interpreters(names: Sequence[str]) -> tuple[dict[str, Path], list[Missing]]:
    """The interpreter of each peer that can be had."""
    found, missing = {}, []
    for name in names:
        try:
            found[name] = install(name) if PEERS[name].own_environment else Path(sys.executable)
        except NotInstalledError as error:
            say(f"{PEERS[name].title} cannot be installed here: {error}")
            missing.append(Missing(name, PEERS[name].title, f"It cannot be installed: {error}"))
    return found, missing


def _conditions(given: Sequence[str], setting: Setting, rounds: int, alone: Sequence[Alone]) -> dict[str, Any]:
    rate = statistics.median(one.pictures_per_second for one in alone)
    used = statistics.median(one.cpu_ms_per_picture for one in alone)
    return {
        "command": shlex.join(["python", "deploy/bench_peers.py", *given]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{setting.cores} cores, {platform.machine()}, {cpu_model()}",
        "versions": ", ".join(f"{name} {version}" for name, version in installed_versions().items()),
        "picture": f"640x480 JPEG of {len(setting.jpeg) // 1000} kB without boxes: two forward passes for each request",
        "the peers' work without a server": f"{rate:.0f} pictures/s in {setting.cores} threads, {used:.1f} CPU ms each",
        "rounds": f"{rounds}, {setting.seconds:g} s for each figure; medians over rounds",
        "equal load": f"{SHARE_OF_PEAK:.0%} of the peer's peak, Poisson arrivals, latency from when a request was due",
    }


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "face68", help="bundle; default: face68")
    parser.add_argument("--peers", type=_names, default=list(PEERS), help=f"default: {','.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=3, help="0 only sweeps; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each figure; default: %(default)s")
    parser.add_argument("--levels", type=_integers, default=[4, 16, 48], help="concurrencies; default: 4,16,48")
    parser.add_argument("--serve", type=shlex.split, default=[], help="flags of `focalpoint serve`, as one word")
    parser.add_argument("--sweep", action="store_true", help="try every configuration first, and take the best")
    parser.add_argument("--output", type=Path, default=RUNS, help="folder; default: runs/peers")
    return parser


def _integers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(PEERS)}, found {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
