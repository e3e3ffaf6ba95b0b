"""Whether the process is alive, and whether requests should come to it: two questions with two answers."""

from collections.abc import Callable, Sequence

from service.dynamic_batching import BatcherCondition
from service.errors import NotReady

_DESCRIPTIONS: dict[BatcherCondition, str] = {
    "failing": "the model fails on every batch",
    "stuck": "the model does not come back from a batch",
    "dead": "the model has died",
    "closed": "the server is stopping",
}


class Readiness:
    """What the probes answer.

    Args:
        ready: the conditions of the models that requests should find working; none before the start and after the end.
        alive: the conditions of all models.
    """

    def __init__(
        self, ready: Callable[[], Sequence[BatcherCondition]], alive: Callable[[], Sequence[BatcherCondition]]
    ) -> None:
        self._ready = ready
        self._alive = alive
        self.stopping = False
        self.cut_off = 0  # requests that were still being worked on when the drain was over

    def check_ready(self) -> None:
        """Requests should come here.

        Raises:
            NotReady: the server has been told to stop, or a model does not answer.
        """
        if self.stopping:
            raise NotReady("the server is stopping")
        for condition in self._ready() or ["closed"]:
            if condition != "working":
                raise NotReady(_DESCRIPTIONS[condition])

    def check_alive(self) -> None:
        """The process can still do its work, or get there again without being started anew.

        Raises:
            NotReady: only a restart helps.
        """
        for condition in self._alive():
            if condition in ("stuck", "dead"):
                raise NotReady(_DESCRIPTIONS[condition])

    def has_died(self) -> bool:
        """Whether nothing but a new process can serve again."""
        return "dead" in self._alive()
