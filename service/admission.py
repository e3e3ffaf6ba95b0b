"""Who is let in: a bound on the images that are worked on, and on how long the next one would have to wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import Overloaded

_NEWEST_SHARE = 0.05  # of one interval in the running mean


@dataclass(slots=True)
class Place:
    """The place of one request. What was refused on the way says nothing of the pace, so only answers count."""

    answered: int = 0


class Admission:
    """The images that are worked on, and the pace at which they get done; for one event loop.

    The pace is the mean interval between two images answered while there was more to do, so that it holds whatever
    limits the server: decoding, the model, or the processor that both share. The wait of the next image is predicted as
    the number of those before it times that interval.

    Args:
        max_in_flight: the most images at a time.
        clock: seconds.
        tell: told how many are worked on whenever that has changed.
    """

    def __init__(
        self,
        max_in_flight: int,
        clock: Callable[[], float] = time.perf_counter,
        tell: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._max_in_flight = max_in_flight
        self._tell = tell
        self._clock = clock
        self._interval = 0.0
        self._previous_done = 0.0
        self.in_flight = 0

    def predicted_wait_seconds(self) -> float:
        """How long an image that came now would take to be done; zero before the first one was."""
        return self.in_flight * self._interval

    def check(self, deadline_seconds: float, images: int = 1) -> None:
        """Refuse what would find no place, or be answered too late.

        Raises:
            Overloaded: one of both.
        """
        wait = self.predicted_wait_seconds()
        if self.in_flight + images > self._max_in_flight:
            raise Overloaded(f"{self.in_flight} images are in flight and {self._max_in_flight} may", wait, "requests")
        if wait > deadline_seconds:
            raise Overloaded(
                f"an answer would take {wait:.1f} s and may take {deadline_seconds:.1f} s",
                wait - deadline_seconds,
                "wait",
            )

    @contextmanager
    def admit(self, deadline_seconds: float, images: int = 1) -> Iterator["Place"]:
        """Take the places of so many images while the block runs; it says how many of them the model has answered.

        Raises:
            Overloaded: as `check`.
        """
        self.check(deadline_seconds, images)
        if not self.in_flight:
            self._previous_done = self._clock()
        self._change(images)
        place = Place()
        try:
            yield place
        finally:
            self._change(-images)
            if place.answered:
                self._note_pace(place.answered)

    def _change(self, images: int) -> None:
        self.in_flight += images
        self._tell(self.in_flight)

    def _note_pace(self, answered: int) -> None:
        now = self._clock()
        interval = (now - self._previous_done) / answered
        self._previous_done = now
        self._interval += (_NEWEST_SHARE if self._interval else 1.0) * (interval - self._interval)
