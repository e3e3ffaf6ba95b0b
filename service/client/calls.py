"""One call from its beginning to its answer, as values."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Call:
    """One call: its id, the moment it began, and how long it may take, tries, waits and all."""

    deadline_seconds: float
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed_seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    @property
    def left_seconds(self) -> float:
        """Until its deadline; below zero after it."""
        return self.deadline_seconds - self.elapsed_seconds


@dataclass(frozen=True)
class Sent:
    """What a message calls its call: the address, the id, and how often it was sent."""

    url: str
    request_id: str
    tries: int


@dataclass(frozen=True)
class Exchange:
    """A successful answer.

    Attributes:
        content: the body.
        headers: their names in lower case.
        sent: the address, the id, and how often it was sent.
        seconds: that the call took.
    """

    content: bytes
    headers: Mapping[str, str]
    sent: Sent
    seconds: float
