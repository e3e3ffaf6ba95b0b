"""How a model's forward passes share the cores."""

from typing import Final, NamedTuple

from service.settings import Settings, usable_cores

# Unless more are asked for: a small network has little to share. Chosen, not measured: on two cores both are faster.
_MOST_LONE_THREADS: Final = 4


class ModelThreads(NamedTuple):
    """So many forward passes of one model side by side, on so many threads each, and a lone one on how many."""

    batches_at_once: int
    intra_op_threads: int
    lone_threads: int


def cores_of_worker(settings: Settings) -> int:
    """The cores that a process of the server has for itself, where all are busy."""
    return max(1, usable_cores() // settings.workers)


def model_threads(settings: Settings) -> ModelThreads:
    """What the settings say, zeros filled in.

    On a CPU a pass on one thread costs the least: threads that share a small network wait for each other at every
    layer. So there is one pass for each core, unless fewer or wider ones are asked for; and a pass that has the machine
    to itself takes up to four cores of it, or as many as are asked for.
    """
    cores = cores_of_worker(settings)
    at_once, threads = settings.batches_at_once, settings.intra_op_threads
    if not at_once:
        at_once = max(1, cores // max(1, threads)) if settings.provider == "cpu" else 1
    threads = threads or max(1, cores // at_once)
    lone = settings.lone_threads or (min(usable_cores(), _MOST_LONE_THREADS) if settings.provider == "cpu" else 1)
    return ModelThreads(at_once, threads, max(threads, lone))
