"""The bundle behind LitServe: worker processes that batch, and API processes before them.

Options as its documentation advises for a CPU (lightning.ai/docs/litserve/features: batching, autoscaling):
`workers_per_device` up to the number of cores, `max_batch_size` with a `batch_timeout`, `fast_queue` (ZeroMQ in
place of a manager's queue). A body of bytes, not a form, and an answer that is JSON already spare it FastAPI's work.
"""

# mypy: disable-error-code="import-not-found, misc"
# The package is in the environment of this peer alone, so that its types are unknown.

import os
from typing import Annotated, Any

import litserve as ls
import orjson
from fastapi import Body, Response
from peers.keypoint_work import KeypointWork, work_of_environment


class Keypoints(ls.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        self.work: KeypointWork = work_of_environment()

    def decode_request(self, request: Annotated[bytes, Body(media_type="application/octet-stream")]) -> bytes:
        return request

    def predict(self, jpegs: Any) -> Any:
        # Without batching LitServe passes on one at a time.
        return self.work.answers(jpegs) if isinstance(jpegs, list) else self.work.answers([jpegs])[0]

    def encode_response(self, output: dict[str, Any]) -> Response:
        return Response(orjson.dumps(output), media_type="application/json")


if __name__ == "__main__":
    api = Keypoints(
        max_batch_size=int(os.environ["PEER_MAX_BATCH"]),
        batch_timeout=float(os.environ["PEER_BATCH_WAIT_MS"]) / 1000,
        api_path="/keypoints",
    )
    server = ls.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=int(os.environ["PEER_WORKERS"]),
        fast_queue=os.environ["PEER_VARIANT"] == "fast_queue",
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PEER_PORT"]),
        num_api_servers=int(os.environ["PEER_FRONTS"]),
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
