"""A server that does to each request what a script says, down to the bytes, and keeps what it was asked."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

SECONDS = 20


@dataclass(frozen=True)
class Reply:
    """Bytes that are sent, and what becomes of the connection then."""

    content: bytes = b""
    then: Literal["keep", "close", "hang"] = "keep"
    pause_seconds: float = 0.0  # after each single byte


HANG = Reply(then="hang")
DROP = Reply(then="close")


def answer(status: int, body: Any, media_type: str = "application/json", **headers: object) -> Reply:
    """A whole answer; a body that is no bytes is sent as JSON, and `_` in a header's name stands for `-`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", f"Content-Type: {media_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Reply("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


def problem(status: int, slug: str, detail: str, headers: dict[str, object] | None = None, **members: object) -> Reply:
    """An answer as the service gives it where it cannot do what is asked."""
    body = {"type": slug, "title": slug.upper(), "status": status, "detail": detail, **members}
    return answer(status, body, "application/problem+json", **(headers or {}))


def keypoints(x: float = 1.5, y: float = 2.25, score: float = 0.5, instances: int = 1) -> Reply:
    """One keypoint in each of some instances."""
    instance = {"box": [0, 1, 2, 3], "score": score, "keypoints": [{"name": "tip", "x": x, "y": y, "score": score}]}
    body = {"model": {"name": "m", "version": "1"}, "image": {"width": 9, "height": 8}}
    return answer(200, {**body, "instances": [instance] * instances})


@dataclass(frozen=True)
class Asked:
    """One request, and when it was complete."""

    first_line: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class ScriptedServer:
    """Takes a script's replies one after the other; the last one for ever."""

    script: Sequence[Reply]
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    closed_by_client: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while (asked := await _read(reader)) is not None:
                reply = self.script[min(len(self.asked), len(self.script) - 1)]
                self.asked.append(asked)
                if not await self._send(reply, reader, writer):
                    return
        except ConnectionError:
            self.closed_by_client.set()
        except asyncio.CancelledError:  # the test is over; to stream servers of Python 3.11 this were an error
            pass
        finally:
            writer.close()

    async def _send(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        pieces = [reply.content]
        if reply.pause_seconds:
            pieces = [reply.content[place : place + 1] for place in range(len(reply.content))]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(reply.pause_seconds)
        if reply.then == "hang":
            await reader.read()  # until the client has enough
            self.closed_by_client.set()
        return reply.then == "keep"


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    except asyncio.IncompleteReadError:
        return None
    first_line, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(first_line, headers, body, time.monotonic())


@contextmanager
def scripted(*script: Reply) -> Iterator[ScriptedServer]:
    """Serve a script until the block ends."""
    loop, running = asyncio.new_event_loop(), ScriptedServer(script)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Callable[[], Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work(), loop).result(SECONDS)

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(running.serve, "127.0.0.1", 0)

    async def end() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = run(begin)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        run(end)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()
