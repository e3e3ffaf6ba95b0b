"""How a model's forward passes share the cores."""

from typing import NamedTuple

from service.settings import Settings, usable_cores


class ModelThreads(NamedTuple):
    """So many forward passes of one model side by side, on so many threads each."""

    batches_at_once: int
    intra_op_threads: int


def model_threads(settings: Settings) -> ModelThreads:
    """What the settings say, zeros filled in.

    On a CPU a pass on one thread costs the least: threads that share a small network wait for each other at every
    layer. So there is one pass for each core, unless fewer or wider ones are asked for.
    """
    cores = usable_cores()
    at_once, threads = settings.batches_at_once, settings.intra_op_threads
    if not at_once:
        at_once = max(1, cores // max(1, threads)) if settings.provider == "cpu" else 1
    return ModelThreads(at_once, threads or max(1, cores // at_once))
