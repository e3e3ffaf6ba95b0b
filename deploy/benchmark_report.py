"""The figures of a run as text and as Markdown."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from comparison import comparison_lines

Level = dict[str, Any]


def _load(level: Level) -> str:
    if level["mode"] == "closed":
        return f"{level['concurrency']} connections"
    return f"{level['rate']:.1f}/s {level['arrivals']}"


def _number(key: str, digits: int) -> Callable[[Level], str]:
    def cell(level: Level) -> str:
        value = level[key]
        return "-" if value is None else f"{value:.{digits}f}"

    return cell


def _errors(level: Level) -> str:
    return json.dumps(level["errors"]).replace('"', "") if level["errors"] else "none"


def _remarks(level: Level) -> str:
    remarks = [] if level["stable"] else ["unstable"]
    remarks += [f"INVALID: {level['invalid']}"] if level["invalid"] else []
    return "; ".join(remarks + [f"COUNTERS DIFFER: {one}" for one in level["disagreements"]]) or "steady"


COLUMNS: dict[str, Callable[[Level], str]] = {
    "picture": lambda level: str(level["picture"]),
    "load": _load,
    "answers/s": _number("requests_per_second", 1),
    **{f"{name} ms": _number(f"{name}_ms", 1) for name in ("p50", "p90", "p95", "p99", "p99.9", "max")},
    "429": lambda level: str(level["rejected"]),
    "errors": _errors,
    "CPU ms": _number("cpu_ms_per_request", 2),
    "batch": _number("mean_batch", 1),
    "queue share": _number("queue_share", 2),
    "lag p99 ms": lambda level: f"{level['lag']['p99_ms']:.2f}",
    "": _remarks,
}


def table(levels: Sequence[Level]) -> str:
    """The levels as text, one line each."""
    rows = [list(COLUMNS), *([cell(level) for cell in COLUMNS.values()] for level in levels)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def markdown(result: dict[str, Any]) -> str:
    """The whole run as Markdown."""
    described = result["run"]
    machine, model = described["machine"], described["model"]
    versions = ", ".join(f"{name} {number}" for name, number in described["versions"].items())
    served = "unknown" if model is None else f"{model['model']} {model['version']}, sha256 `{model['sha256']}`"
    lines = [
        f"    {described['command']}",
        "",
        f"- {described['date']}; {', '.join(str(machine[name]) for name in ('cpu', 'architecture', 'kernel'))}, "
        f"{machine['cores']} cores",
        f"- {versions}",
        f"- model {served}",
        "",
    ]
    if result["levels"]:
        lines += [_row(COLUMNS), "|" + "---|" * len(COLUMNS)]
        lines += [_row(cell(level) for cell in COLUMNS.values()) for level in result["levels"]]
        lines.append("")
    lines += ["    " + line for line in conclusions(result)]
    return "\n".join(lines) + "\n"


def _row(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def conclusions(result: dict[str, Any]) -> list[str]:
    """What is not in the table: the search, half the peak, and the ceilings."""
    lines = []
    for found in result["searches"]:
        kept = f"p99 <= {found['p99_limit_ms']:g} ms and at most 0.1 % failed"
        lines.append(f"{found['picture']}: {found['rate']:.1f}/s is the highest rate found with {kept}")
    for level in result["levels"]:
        if level.get("half_load") and level["p50_ms"]:
            lines.append(f"{level['picture']}, half of the peak: p99 / p50 = {level['p99_ms'] / level['p50_ms']:.2f}")
    if result["model_alone"]:
        lines.append("bare session.run, crops/s by batch (one session on all cores; one thread for each core):")
        lines += [
            f"  {one['batch']:4} {one['one_session_all_cores']:10.1f} {one['one_thread_per_core']:10.1f}"
            for one in result["model_alone"]
        ]
    for found in result["comparisons"]:
        lines += [f"{found['picture']}:", *comparison_lines(found)]
    return lines
