"""Closed-loop load on a running server: requests per second and latency percentiles at each concurrency.

Each connection posts a picture, waits for the answer and posts the next. Latencies of a closed loop flatter a server
that stalls (nobody asks while it does), so read them together with the requests per second.

    python deploy/benchmark.py --url http://127.0.0.1:8000 --image face.jpg --concurrency 1,4,16 --seconds 10
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from load_generator import Load, closed_loop, keypoints_message

PERCENTILES = (50, 90, 95, 99)


def report(concurrency: int, load: Load) -> dict[str, Any]:
    """The figures of one level: latencies are those of the answers with status 200."""
    latencies = load.latencies_ms(200)
    requests, errors = (
        len(latencies),
        {str(status): count for status, count in load.statuses().items() if status != 200},
    )
    latencies = latencies if requests else np.array([np.nan])
    return {
        "concurrency": concurrency,
        "seconds": round(load.seconds, 3),
        "requests": requests,
        "requests_per_second": round(load.rate(), 2),
        **{f"p{percentile}_ms": round(float(np.percentile(latencies, percentile)), 3) for percentile in PERCENTILES},
        "max_ms": round(float(latencies.max()), 3),
        "errors": errors,
    }


def drawn_picture(width: int = 640, height: int = 480) -> bytes:
    """A JPEG with the detail of a photograph, roughly: smooth shapes and some grain."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (12, 16, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = np.clip(smooth + random.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def table(reports: Sequence[dict[str, Any]]) -> str:
    """The reports as text, one line each."""
    columns = [key for key in reports[0] if key not in {"seconds", "errors"}]
    widths = [max(len(column), 9) for column in columns]
    lines = ["  ".join(column.rjust(width) for column, width in zip(columns, widths, strict=True)) + "  errors"]
    for report in reports:
        cells = [str(report[column]).rjust(width) for column, width in zip(columns, widths, strict=True)]
        lines.append("  ".join(cells) + "  " + (json.dumps(report["errors"]) if report["errors"] else "none"))
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; the exit code says whether every answer was a 200."""
    options = _parser().parse_args(arguments)
    images = [path.read_bytes() for path in options.image] or [drawn_picture()]
    messages = [keypoints_message(options.url, image) for image in images]
    asyncio.run(closed_loop(options.url, messages, 1, seconds=min(1.0, options.seconds)))  # warm up; not counted
    reports = [
        report(concurrency, asyncio.run(closed_loop(options.url, messages, concurrency, options.seconds)))
        for concurrency in options.concurrency
    ]
    sys.stdout.write(table(reports))
    if options.json:
        result = {"url": options.url, "image_bytes": [len(image) for image in images], "levels": reports}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return int(any(report["errors"] or not report["requests"] for report in reports))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="default: %(default)s")
    parser.add_argument("--image", type=Path, action="append", default=[], help="repeatable; default: a drawn 640x480")
    parser.add_argument("--concurrency", type=_integers, default=[1, 2, 4, 8], help="default: 1,2,4,8")
    parser.add_argument("--seconds", type=float, default=5.0, help="per concurrency; default: %(default)s")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser


def _integers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
