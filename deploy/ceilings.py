"""What is possible without HTTP, in a process of its own: it measures when it is told to and sleeps in between.

`benchmark.py --ceilings MODEL_FOLDER` starts it. Commands come as lines of JSON on standard input, an answer goes out
as a line of JSON on standard output. The first line says which bundle and pictures.
"""

import base64
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark_pictures import Picture


class Ceilings:
    """The other end of the pipe."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **command: Any) -> dict[str, Any]:
        """Have something measured, and wait for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("the process that measures the ceilings has ended; what it wrote above says why")
        measured: dict[str, Any] = json.loads(answer)
        return measured


@contextmanager
def ceilings_process(bundle: Path, pictures: Sequence[Picture]) -> Iterator[Ceilings]:
    """The process; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    try:
        ceilings = Ceilings(process)
        sent = [(one.name, base64.b64encode(one.data).decode(), one.boxes) for one in pictures]
        ceilings.ask(bundle=str(bundle), pictures=sent)
        yield ceilings
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def main() -> None:
    """Measure what is asked for until nobody asks any more."""
    import cv2  # noqa: PLC0415 - the parent imports this file too and needs nothing of the service
    from in_process import InProcessPipeline, crops_per_second  # noqa: PLC0415

    from service.process_memory import limit_malloc_arenas  # noqa: PLC0415

    limit_malloc_arenas()  # as in the service, and so is the next
    cv2.setNumThreads(1)
    lines = iter(sys.stdin)
    start = json.loads(next(lines))
    bundle = Path(start["bundle"])
    pictures = [
        Picture(name, base64.b64decode(data), tuple(map(tuple, boxes))) for name, data, boxes in start["pictures"]
    ]
    pipelines: dict[str, InProcessPipeline] = {}
    _answer({})
    for line in lines:
        command = json.loads(line)
        what, seconds = command.pop("do"), command.pop("seconds", 0.0)
        if what == "crops":
            _answer({"per_second": crops_per_second(bundle, **command, seconds=seconds)})
            continue
        arrangement = json.dumps(command)
        if arrangement not in pipelines:
            pipelines[arrangement] = InProcessPipeline(bundle, **command)
            pipelines[arrangement].measure(pictures, min(0.3, seconds))
        pipeline = pipelines[arrangement]
        if what == "throughput":
            measured = pipeline.measure(pictures, seconds)
            _answer({"per_second": measured.per_second, "cpu_ms": measured.cpu_ms})
        elif what == "latency":
            _answer({"p50_ms": statistics.median(pipeline.latencies_ms(pictures, seconds))})
        else:
            assert what == "answers", what
            _answer({"answers": [pipeline.answers(one) for one in pictures]})


def _answer(measured: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(measured) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
