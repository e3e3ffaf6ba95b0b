"""The bundle behind Ray Serve: replicas that batch, and a proxy before them.

Options of docs.ray.io/en/latest/serve (advanced guides: performance tuning, dynamic request batching): `num_replicas`,
`max_ongoing_requests` above what replicas take at a time, `serve.batch` with `max_batch_size`, `batch_wait_timeout_s`
and `max_concurrent_batches`; its high-throughput variables are in the catalogue. The forward passes leave the replica's
event loop for a thread, as its page on asyncio advises.
"""

# mypy: disable-error-code="import-not-found, untyped-decorator, attr-defined"
# The package is in the environment of this peer alone, so that its types are unknown.

import asyncio
import os
from typing import Any

import orjson
import ray
from peers.keypoint_work import work_of_environment
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

MAX_BATCH = int(os.environ["PEER_MAX_BATCH"])


@serve.deployment(
    num_replicas=int(os.environ["PEER_WORKERS"]),
    max_ongoing_requests=64,
    ray_actor_options={"num_cpus": 0.5},
)
class Keypoints:
    def __init__(self) -> None:
        self.work = work_of_environment()

    @serve.batch(
        max_batch_size=MAX_BATCH,
        batch_wait_timeout_s=float(os.environ["PEER_BATCH_WAIT_MS"]) / 1000,
        max_concurrent_batches=int(os.environ["PEER_THREADS"]),
    )
    async def batched(self, jpegs: list[bytes]) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self.work.answers, jpegs)

    async def __call__(self, request: Request) -> Response:
        return Response(orjson.dumps(await self.batched(await request.body())), media_type="application/json")


if __name__ == "__main__":
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(os.environ["PEER_PORT"])},
        logging_config={"enable_access_log": False},
    )
    serve.run(Keypoints.bind(), route_prefix="/keypoints", blocking=True)
