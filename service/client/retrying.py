"""When to send again, and when not to: arithmetic on times, without a connection."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MOST_SECONDS = 1e9  # a header that says more says nothing


@dataclass(frozen=True)
class RetryPolicy:
    """How often to try, and how long to wait where the server does not say.

    A keypoints request changes nothing at the server, so that one whose answer was lost can be sent again.

    Attributes:
        max_tries: in all, the first included; 1 never sends again.
        first_wait_seconds: after the first try; each further wait is twice as long.
        longest_wait_seconds: the doubling ends here. What the server asks for (`Retry-After`) may be longer.
        jitter: a wait of our own is shortened by up to this share, one that the server asked for is lengthened by a
            tenth of it at most: so clients that failed together do not come back together.
    """

    max_tries: int = 6
    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 5.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if (
            self.max_tries < 1
            or not 0 <= self.jitter <= 1
            or min(self.first_wait_seconds, self.longest_wait_seconds) < 0
        ):
            raise ValueError(f"expected one try or more, waits of 0 s or more and a jitter of 0 to 1, found {self}")

    def wait_seconds(
        self, tries: int, told_seconds: float | None, left_seconds: float, uniform: Callable[[], float] = random.random
    ) -> float | None:
        """How long to wait before the next try; None for no further one.

        Args:
            tries: how many there were.
            told_seconds: what the server asked for.
            left_seconds: until the deadline, less what a try takes. A wait that would reach it is not begun.
            uniform: a random number from 0 to 1.
        """
        if tries >= self.max_tries:
            return None
        if told_seconds is None:
            wait = min(self.longest_wait_seconds, self.first_wait_seconds * 2.0 ** (tries - 1))
            wait *= 1 - self.jitter * uniform()
        else:
            wait = told_seconds * (1 + 0.1 * self.jitter * uniform())
        return wait if wait < left_seconds else None


def retry_after_seconds(headers: Mapping[str, str], problem: Mapping[str, object]) -> float | None:
    """What an answer says of when to come back; None where it says nothing that can be understood.

    Our service says it twice: `retry_after_ms` in the problem is what it means, `Retry-After` is that in whole seconds,
    rounded up. The header's other form is a date (RFC 9110, section 10.2.3).
    """
    milliseconds = problem.get("retry_after_ms")
    if isinstance(milliseconds, int | float) and 0 <= milliseconds < 1000 * _MOST_SECONDS:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _MOST_SECONDS)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
