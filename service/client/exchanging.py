"""Sending a message until it is answered or its time is up: the one place with a connection, for both clients."""

import asyncio
import logging
import ssl
from types import MappingProxyType
from typing import Final

import httpx2

from service import __version__
from service.client.calls import Call, Exchange, Sent
from service.client.errors import ClientError, ConnectionFailed, DeadlineExceeded, ProblemAnswered, UnexpectedAnswer
from service.client.failed_answers import RETRIED, failure_of
from service.client.messages import Message
from service.client.retrying import RetryPolicy

# Shorter than the server's own five seconds, so that it is we who close an idle connection, not it while we send.
_KEEP_ALIVE_SECONDS: Final = 4.0

_logger = logging.getLogger("focalpoint.client")


class Exchanger:
    """Connections to one server, kept alive between calls; for one event loop of asyncio.

    Args:
        url: of the server, with a path if it is behind one.
        api_key: sent as `Authorization: Bearer`; None for none.
        policy: when to send again.
        verify: a TLS context; True for the system's certificates.
        trust_env: whether HTTP_PROXY, NO_PROXY and the like count.
    """

    def __init__(
        self, url: str, api_key: str | None, policy: RetryPolicy, verify: ssl.SSLContext | bool, trust_env: bool
    ) -> None:
        self._url = url
        self._policy = policy
        headers = {"User-Agent": f"focalpoint/{__version__}"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        limits = httpx2.Limits(keepalive_expiry=_KEEP_ALIVE_SECONDS)
        # Time is kept by `exchange`, over all tries: httpx's timeouts are for each read and write.
        self._http = httpx2.AsyncClient(
            headers=headers, timeout=None, limits=limits, verify=verify, trust_env=trust_env, follow_redirects=False
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def exchange(self, message: Message, call: Call) -> Exchange:
        """The answer to a message.

        Raises:
            ClientError: there is none; which says why.
        """
        url, tries = self._url + message.path, 0
        failure: ClientError | None = None
        try:
            async with asyncio.timeout(call.left_seconds):
                while True:
                    tries, begun = tries + 1, call.elapsed_seconds
                    outcome = await self._try(message, call, Sent(url, call.request_id, tries))
                    if isinstance(outcome, Exchange):
                        return outcome
                    failure = outcome
                    if not message.sent_again:
                        raise failure
                    # A try as long as this one must fit: else this one's failure says more than a passed deadline.
                    await self._wait(failure, tries, call.left_seconds - (call.elapsed_seconds - begun))
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"{url}: expected an answer within {call.deadline_seconds:g} s, found none [request {call.request_id}]"
                f"{f'; the try before: {failure}' if failure else ''}",
                call.request_id,
                tries,
            ) from error

    async def _try(self, message: Message, call: Call, sent: Sent) -> Exchange | ClientError:
        """The answer, or the failure that another try may mend.

        Raises:
            ClientError: another failure.
        """
        headers = {
            **message.headers,
            "X-Request-ID": call.request_id,
            "X-Deadline-Ms": str(max(1, int(1000 * call.left_seconds))),
        }
        try:
            response = await self._http.request(
                message.method, sent.url, params=message.query, headers=headers, content=message.content or None
            )
        except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol) as error:
            raise ValueError(f"{sent.url}: expected headers and an address of HTTP, found {error}") from error
        except httpx2.TransportError as error:
            found = _root_of(error)
            failed = ConnectionFailed(
                f"{sent.url}: expected an answer, found a failed connection: {found} (tries: {sent.tries}) "
                f"[request {sent.request_id}]",
                sent.request_id,
                sent.tries,
            )
            failed.__cause__ = error
            return failed
        except httpx2.DecodingError as error:
            raise UnexpectedAnswer(
                f"{sent.url}: expected a body in its stated encoding, found {error} [request {sent.request_id}]",
                sent.request_id,
                sent.tries,
            ) from error
        failure = failure_of(response, sent)
        if failure is None:
            return Exchange(response.content, MappingProxyType(dict(response.headers)), sent, call.elapsed_seconds)
        if response.status_code in RETRIED:
            return failure
        raise failure

    async def _wait(self, failure: ClientError, tries: int, left_seconds: float) -> None:
        """Sleep until the next try, where that can begin before so many seconds are over.

        Raises:
            ClientError: the failure, where there is no further try.
        """
        told = failure.retry_after_seconds if isinstance(failure, ProblemAnswered) else None
        wait = self._policy.wait_seconds(tries, told, left_seconds)
        if wait is None:
            raise failure
        _logger.info("try %d failed, the next one follows in %.3f s: %s", tries, wait, failure)
        await asyncio.sleep(wait)


def _root_of(error: BaseException) -> str:
    """What the first of a chain of errors says: those that came of it say less."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
