"""A client of the service, for programs in Python: `Client`, and `AsyncClient` for asyncio; see docs/client.md."""

from service.client.answers import Answer, Heatmaps, Instance, Keypoint
from service.client.async_client import AsyncClient
from service.client.errors import (
    ClientError,
    ConnectionFailed,
    DeadlineExceeded,
    ProblemAnswered,
    RequestRefused,
    ServerFailed,
    ServerOverloaded,
    UnexpectedAnswer,
)
from service.client.retrying import RetryPolicy
from service.client.sync_client import Client

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "DeadlineExceeded",
    "Heatmaps",
    "Instance",
    "Keypoint",
    "ProblemAnswered",
    "RequestRefused",
    "RetryPolicy",
    "ServerFailed",
    "ServerOverloaded",
    "UnexpectedAnswer",
]
