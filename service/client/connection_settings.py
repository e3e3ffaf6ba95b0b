"""What a client is told once."""

import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from service.client.calls import Call
from service.client.exchanging import Exchanger
from service.client.retrying import RetryPolicy
from service.paths import KEYPOINTS_PATH

USUAL_DEADLINE_MS: Final = 30_000  # as the server's own
_ROUTES: Final = (KEYPOINTS_PATH, "/v1/models")  # not every path is wrong: a server may be behind a proxy's


@dataclass(frozen=True)
class ConnectionSettings:
    """Checked when it is made, so that a wrong address shows where it was written.

    Raises:
        ValueError: no address of a server, or a deadline of no time.
    """

    url: str
    api_key: str | None = field(repr=False)
    deadline_ms: int
    retry: RetryPolicy
    verify: ssl.SSLContext | bool
    trust_env: bool

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url: expected http://HOST:PORT or https://HOST, found {self.url!r}")
        for route in _ROUTES:
            if parts.path.rstrip("/").endswith(route):
                raise ValueError(f"url: expected the server's address without {route}, found {self.url!r}")
        if self.api_key is not None:
            # A key that was read from a file ends in a line break.
            object.__setattr__(self, "api_key", self.api_key.strip())
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable() and self.api_key):
            raise ValueError("api_key: expected printable ASCII characters, found others or none")
        self.call(None)

    def exchanger(self) -> Exchanger:
        """Connections by these settings."""
        return Exchanger(self.url.rstrip("/"), self.api_key, self.retry, self.verify, self.trust_env)

    def call(self, deadline_ms: int | None) -> Call:
        """A call that begins now; None for the usual deadline.

        Raises:
            ValueError: a deadline of no time.
        """
        milliseconds = self.deadline_ms if deadline_ms is None else deadline_ms
        if not milliseconds >= 1:
            raise ValueError(f"deadline_ms: expected 1 or more, found {milliseconds!r}")
        return Call(milliseconds / 1000)
