"""The metrics of all workers in one answer, whichever of them is asked; each has its label, so that none hides another.

Nothing is added up: a worker that is replaced starts from zero, and of a sum one could not tell that from a reset.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from service.metrics import Metrics
from service.workers.worker_place import WorkerPlace

LABEL: Final = "worker"

_SIBLING_SECONDS = 1.0


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
        """Tell this worker's metrics to whoever connects to its socket, while the block runs."""
        if self._place is None:
            yield
            return
        path = self._place.metrics_socket(self._place.number)
        path.unlink(missing_ok=True)  # of a worker that this one replaces
        async with await asyncio.start_unix_server(self._tell, path):
            yield

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._metrics.exposition())
        await writer.drain()
        writer.close()

    async def exposition(self) -> bytes:
        """All metrics in Prometheus's text format; of several workers, `focalpoint_worker_up` says of whom they are."""
        if self._place is None:
            return self._metrics.exposition()
        sockets = [self._place.metrics_socket(number) for number in range(self._place.workers)]
        texts: list[str | None] = list(await asyncio.gather(*map(_ask, sockets)))
        texts[self._place.number] = self._metrics.exposition().decode()
        return merged({str(number): text for number, text in enumerate(texts)})


async def _ask(socket: Path) -> str | None:
    try:
        async with asyncio.timeout(_SIBLING_SECONDS):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                return (await reader.read()).decode()
            finally:
                writer.close()
    except OSError:  # it is being replaced, or hangs (TimeoutError): its metrics are missing, which `up` says
        return None


class _Merged(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def merged(expositions: Mapping[str, str | None]) -> bytes:
    """Several expositions as one, each sample with the label of its own; None for one that could not be had."""
    up = GaugeMetricFamily("focalpoint_worker_up", "Whether a worker has told its metrics", labels=[LABEL])
    families: dict[str, Metric] = {}
    for worker, text in expositions.items():
        up.add_metric([worker], float(text is not None))
        for family in text_string_to_metric_families(text or ""):
            into = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            into.samples.extend(sample._replace(labels={**sample.labels, LABEL: worker}) for sample in family.samples)
    registry = CollectorRegistry()
    registry.register(_Merged([*families.values(), up]))
    return generate_latest(registry)
