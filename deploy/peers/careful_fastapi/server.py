"""The strongest small opponent: FastAPI, one queue, worker threads that decode, batch while busy and run the model."""

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from fastapi import FastAPI, Request, Response
from peers.keypoint_work import work_of_environment

WORK = work_of_environment()
MAX_BATCH, WORKERS = int(os.environ["PEER_MAX_BATCH"]), int(os.environ["PEER_WORKERS"])
WAITING: queue.SimpleQueue[tuple[bytes, asyncio.Future[bytes]]] = queue.SimpleQueue()


def worker(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        batch = [WAITING.get()]
        while len(batch) < MAX_BATCH and not WAITING.empty():
            try:
                batch.append(WAITING.get_nowait())
            except queue.Empty:
                break
        answers = [orjson.dumps(answer) for answer in WORK.answers([jpeg for jpeg, _ in batch])]
        loop.call_soon_threadsafe(deliver, [future for _, future in batch], answers)


def deliver(futures: list[asyncio.Future[bytes]], answers: list[bytes]) -> None:
    for future, answer in zip(futures, answers, strict=True):
        if not future.done():
            future.set_result(answer)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    for _ in range(WORKERS):
        threading.Thread(target=worker, args=(asyncio.get_running_loop(),), daemon=True).start()
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/keypoints")
async def keypoints(request: Request) -> Response:
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    WAITING.put((await request.body(), future))
    return Response(await future, media_type="application/json")
