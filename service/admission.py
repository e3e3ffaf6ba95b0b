"""How many requests are worked on at a time; the next one is refused before its body is read."""

from collections.abc import Callable
from typing import Self

from service.errors import Overloaded


class Admission:
    """A context manager around each request; for one event loop.

    Args:
        max_in_flight: the most requests at a time.
        expected_wait_seconds: how long until there may be room again.
    """

    def __init__(self, max_in_flight: int, expected_wait_seconds: Callable[[], float]) -> None:
        self._max_in_flight = max_in_flight
        self._expected_wait_seconds = expected_wait_seconds
        self._in_flight = 0

    def __enter__(self) -> Self:
        """Take a place.

        Raises:
            Overloaded: there is none.
        """
        if self._in_flight >= self._max_in_flight:
            raise Overloaded(
                f"{self._in_flight} requests are in flight and {self._max_in_flight} may", self._expected_wait_seconds()
            )
        self._in_flight += 1
        return self

    def __exit__(self, *_: object) -> None:
        """Give the place back."""
        self._in_flight -= 1
