"""Closed-loop load on a running server: requests per second and latency percentiles at each concurrency.

Each connection posts a picture, waits for the answer and posts the next. Latencies of a closed loop flatter a server
that stalls (nobody asks while it does), so read them together with the requests per second.

    python deploy/benchmark.py --url http://127.0.0.1:8000 --image face.jpg --concurrency 1,4,16 --seconds 10
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np

PERCENTILES = (50, 90, 95, 99)
MAX_REQUESTS = 1_000_000
TIMEOUT_SECONDS = 30.0


@dataclass
class Level:
    """What happened at one concurrency."""

    concurrency: int
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def report(self) -> dict[str, Any]:
        """The figures: latencies are those of the answers with status 200."""
        latencies = np.array(self.latencies_ms or [np.nan])
        return {
            "concurrency": self.concurrency,
            "seconds": round(self.seconds, 3),
            "requests": len(self.latencies_ms),
            "requests_per_second": round(len(self.latencies_ms) / self.seconds, 2),
            **{
                f"p{percentile}_ms": round(float(np.percentile(latencies, percentile)), 3) for percentile in PERCENTILES
            },
            "max_ms": round(float(latencies.max()), 3),
            "errors": dict(self.errors),
        }


class Connection:
    """One keep-alive HTTP/1.1 connection; a few lines, so that the generator does not become the bottleneck."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, message: bytes) -> int:
        """Send a whole request and read a whole answer; returns its status."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(" ", 2)[1])
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        await reader.readexactly(length)
        if "connection: close" in head:
            self.close()
        return status

    def close(self) -> None:
        """Forget the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def load(
    url: str, images: Sequence[bytes], concurrency: int, seconds: float, max_requests: int = MAX_REQUESTS
) -> Level:
    """Keep `concurrency` requests in flight until the time or the number of requests is over."""
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    messages = itertools.cycle([_message(host, port, address.path.rstrip("/"), image) for image in images])
    level = Level(concurrency)
    tickets = itertools.count()
    started = time.perf_counter()

    async def connection_loop() -> None:
        connection = Connection(host, port)
        while time.perf_counter() - started < seconds and next(tickets) < max_requests:
            asked = time.perf_counter()
            try:
                status = await asyncio.wait_for(connection.post(next(messages)), TIMEOUT_SECONDS)
            except (OSError, EOFError, TimeoutError) as error:
                level.errors[type(error).__name__] += 1
                connection.close()
                await asyncio.sleep(0.05)  # a server that is gone is not to be asked a million times
                continue
            if status == 200:
                level.latencies_ms.append((time.perf_counter() - asked) * 1000)
            else:
                level.errors[str(status)] += 1
        connection.close()

    await asyncio.gather(*(connection_loop() for _ in range(concurrency)))
    level.seconds = time.perf_counter() - started
    return level


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
    asyncio.run(load(options.url, images, 1, seconds=min(1.0, options.seconds)))  # warm up; not counted
    reports = [
        asyncio.run(load(options.url, images, concurrency, options.seconds)).report()
        for concurrency in options.concurrency
    ]
    sys.stdout.write(table(reports))
    if options.json:
        result = {"url": options.url, "image_bytes": [len(image) for image in images], "levels": reports}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return int(any(report["errors"] or not report["requests"] for report in reports))


def _message(host: str, port: int, prefix: str, image: bytes) -> bytes:
    head = (
        f"POST {prefix}/v1/keypoints HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(image)}\r\n\r\n"
    )
    return head.encode("ascii") + image


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
