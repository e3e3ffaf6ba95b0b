"""The metrics of all workers in one answer, whichever of them is asked; each has its label, so that none hides another.

Nothing is added up: a worker that is replaced starts from zero, and of a sum one could not tell that from a reset.
"""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from service.metrics import Metrics
from service.workers.worker_place import WorkerPlace

_SIBLING_SECONDS = 1.0
_END: Final = "# EOF\n"  # as OpenMetrics has it: what comes without is not whole
_NEW_METRIC: Final = "# HELP "
_CREDENTIALS: Final = struct.Struct("3i")  # process, user, group


class GatheredMetrics:
    """The metrics of a process, and of its siblings if it has any.

    Args:
        metrics: of this process.
        place: of this worker; None for the only process.
    """

    def __init__(self, metrics: Metrics, place: WorkerPlace | None) -> None:
        self._metrics = metrics
        self._place = place

    @asynccontextmanager
    async def told_to_siblings(self) -> AsyncIterator[None]:
        """Tell this worker's metrics to those that ask, while the block runs."""
        if self._place is None:
            yield
            return
        async with await asyncio.start_unix_server(
            self._tell, sock=self._place.metrics_listeners[self._place.number].dup()
        ):
            yield

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _user_of(writer.get_extra_info("socket")) == os.getuid():  # there may be others on this machine
                writer.write(self._metrics.exposition() + _END.encode())
                await writer.drain()
        except OSError:
            pass  # who asked waits no longer
        finally:
            writer.close()

    async def exposition(self) -> bytes:
        """All metrics in Prometheus's text format; of several workers, `focalpoint_worker_up` says of whom they are."""
        if self._place is None:
            return self._metrics.exposition()
        own = self._place.number
        others = [listener for number, listener in enumerate(self._place.metrics_listeners) if number != own]
        texts = await asyncio.gather(*(_ask(listener.getsockname()) for listener in others))
        texts.insert(own, self._metrics.exposition().decode())
        return merged({str(number): text for number, text in enumerate(texts)}).encode()


def _user_of(connection: socket.socket) -> int:
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(packed)
    assert isinstance(user, int)
    return user


async def _ask(address: str | bytes) -> str | None:
    """A sibling's metrics; None where it is being replaced or hangs."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.setblocking(False)
        connection.connect(address)  # done at once, or not at all; uvloop takes no address that is not a file's
        async with asyncio.timeout(_SIBLING_SECONDS):
            reader, writer = await asyncio.open_unix_connection(sock=connection)
            try:
                text = (await reader.read()).decode()
            finally:
                writer.close()
    except OSError:  # a timeout is one, too
        connection.close()
        return None
    return text.removesuffix(_END) if text.endswith(_END) else None


def merged(expositions: Mapping[str, str | None]) -> str:
    """Several expositions as one, each sample with the label of its own; None for one that could not be had."""
    metrics: dict[str, list[str]] = {}
    for worker, text in expositions.items():
        for metric in (text or "").split(_NEW_METRIC)[1:]:
            help_line, type_line, *samples = metric.splitlines()
            lines = metrics.setdefault(help_line.partition(" ")[0], [_NEW_METRIC + help_line, type_line])
            lines.extend(_labelled(sample, worker) for sample in samples)
    metrics["focalpoint_worker_up"] = [
        f"{_NEW_METRIC}focalpoint_worker_up Whether the metrics of a worker are among these",
        "# TYPE focalpoint_worker_up gauge",
        *(
            f'focalpoint_worker_up{{worker="{worker}"}} {float(text is not None)}'
            for worker, text in expositions.items()
        ),
    ]
    return "".join(f"{line}\n" for lines in metrics.values() for line in lines)


def _labelled(sample: str, worker: str) -> str:
    """`name{labels} value` or `name value` with one label more."""
    name, _, rest = sample.partition(" ")
    if "{" in name:
        return sample.replace("{", f'{{worker="{worker}",', 1)
    return f'{name}{{worker="{worker}"}} {rest}'
