"""What is known of one request while it is answered: its id, its deadline, and where its time went."""

import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from service.errors import InvalidParameter

Stage = Literal["read", "decode_image", "crop", "queue", "infer", "back_transform", "encode_response"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

# What a client may choose as an id: it is logged and sent back as it is.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")


@dataclass(slots=True)
class RequestRecord:
    """One request.

    Attributes:
        request_id: the client's, where it sent a usable one.
        arrived: when its headers were read, by `time.perf_counter`.
        stages: seconds by stage. A stage that was passed several times (two passes, several images at once) counts
            every time, so that the sum may exceed what the clock on the wall says.
        batch_size: crops in the largest batch that it had a part in; 0 before any.
        problem: the reason of its rejection, if it ended in one.
        order: its place among those that wait for threads and memory: the least comes first.
        model: name, version and SHA-256 of the model that was chosen for it; None before.
    """

    request_id: str
    arrived: float = field(default_factory=time.perf_counter)
    stages: dict[Stage, float] = field(default_factory=dict)
    batch_size: int = 0
    problem: str = ""
    order: float = 0.0
    model: tuple[str, str, str] | None = None

    @classmethod
    def of_request(cls, request_id: str) -> "RequestRecord":
        """A record with the id that the client sent, or with a new one where it sent none that can be used."""
        return cls(request_id if _REQUEST_ID.fullmatch(request_id) else f"{random.getrandbits(128):032x}")

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Time the block as part of a stage, however it ends."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    def add(self, name: Stage, seconds: float) -> None:
        """Add to a stage what was timed elsewhere."""
        self.stages[name] = self.stages.get(name, 0.0) + seconds

    def merge(self, part: "RequestRecord") -> None:
        """Add what one image of several took."""
        for name, seconds in part.stages.items():
            self.add(name, seconds)
        self.batch_size = max(self.batch_size, part.batch_size)

    @property
    def elapsed(self) -> float:
        """Seconds since it arrived."""
        return time.perf_counter() - self.arrived

    def server_timing(self) -> str:
        """The value of a `Server-Timing` header (W3C): milliseconds of each stage, and in all."""
        stages = [f"{name};dur={1000 * seconds:.2f}" for name, seconds in self.stages.items()]
        return ", ".join([*stages, f"total;dur={1000 * self.elapsed:.2f}"])


def deadline_seconds(headers: Mapping[str, str], longest_seconds: float) -> float:
    """How long after its arrival a request may be answered: `X-Deadline-Ms`, at most the server's own deadline.

    Raises:
        InvalidParameter: the header is not a whole number of milliseconds above zero.
    """
    text = headers.get("x-deadline-ms")
    if text is None:
        return longest_seconds
    if not (text.isascii() and text.isdigit() and int(text[:12]) > 0):
        raise InvalidParameter(f"X-Deadline-Ms: expected a whole number of milliseconds above 0, found {text[:40]!r}")
    return min(int(text[:12]) / 1000, longest_seconds)
