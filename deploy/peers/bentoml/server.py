"""The bundle behind BentoML: adaptive batching of pictures in a form, or one picture as the body, without batching.

Options of docs.bentoml.com (guides: adaptive batching, workers, concurrency; reference: configurations): `workers` and
`threads` of `@bentoml.service`, `batchable`, `max_batch_size` and `max_latency_ms` of `@bentoml.api`. Its batches are
lists, which come as forms; a raw body is one positional argument with a `ContentType`.
"""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# The package is in the environment of this peer alone, so that its types are unknown.

import os
from pathlib import Path
from typing import Annotated, Any

import bentoml
import orjson
from bentoml.validators import ContentType
from peers.keypoint_work import work_of_environment

MAX_BATCH = max(2, int(os.environ["PEER_MAX_BATCH"]))  # it takes no less, whether or not there are batches


@bentoml.service(
    workers=int(os.environ["PEER_WORKERS"]),
    threads=int(os.environ["PEER_THREADS"]),
    logging={"access": {"enabled": False}},
    traffic={"timeout": 60},
)
class Keypoints:
    def __init__(self) -> None:
        self.work = work_of_environment()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=10_000, route="/batched")
    def batched(self, images: list[Path]) -> list[dict[str, Any]]:
        return self.work.answers([image.read_bytes() for image in images])

    @bentoml.api(route="/keypoints")
    def keypoints(
        self, image: Annotated[Path, ContentType("image/jpeg")], /
    ) -> Annotated[str, ContentType("application/json")]:
        return orjson.dumps(self.work.answers([image.read_bytes()])[0]).decode()
