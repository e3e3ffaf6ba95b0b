"""Evaluation of a running service: it must serve the very graph of the bundle, not only one of its name."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from model_export.errors import RunError
from model_export.evaluate import Found
from model_export.evaluate_over_http import estimate_over_http
from service.contract.crop_transform import Box
from tests.fakes import CENTRES, draw_discs, fake_manifest

MANIFEST = fake_manifest({"model.onnx": "ab" * 32})
KEYPOINTS = [{"name": "disc", "x": float(x), "y": float(y), "score": 0.5} for x, y in CENTRES]


@contextmanager
def service(graph: str | None, version: str = MANIFEST.version) -> Iterator[str]:
    """The address of a service that answers the discs' centres, whatever it is sent, and says what its graph is."""
    answer = {
        "model": {"name": MANIFEST.name, "version": version},
        "image": {"width": 160, "height": 120},
        "instances": [{"box": [0, 0, 160, 120], "score": 0.5, "keypoints": KEYPOINTS}],
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            if graph is not None:
                self.send_header("X-Model-Sha256", graph)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Not on the tests' standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def estimate_over(url: str) -> Found:
    """What the service finds on the discs."""
    with estimate_over_http(url, MANIFEST) as estimate:
        return estimate(draw_discs(), Box(0, 0, 160, 120))


def test_the_bundles_own_graph_is_measured() -> None:
    with service("ab" * 32) as url:
        found = estimate_over(url)
    assert np.array_equal(found.points_in_image_K2, CENTRES)
    assert found.scores_K.tolist() == [0.5] * 3


@pytest.mark.parametrize("graph", ["cd" * 32, None])
def test_another_graph_of_the_same_name_and_version_is_refused(graph: str | None) -> None:
    with (
        service(graph) as url,
        pytest.raises(RunError, match=f"serves another graph of the same name: .*{'ab' * 32}, found {graph or 'none'}"),
    ):
        estimate_over(url)


def test_another_version_is_refused() -> None:
    message = r"another model: .*1\.2\.3.*found .*9\.9\.9"
    with service("ab" * 32, "9.9.9") as url, pytest.raises(RunError, match=message):
        estimate_over(url)


def test_an_address_that_is_none() -> None:
    with pytest.raises(RunError, match="--url: expected http://HOST:PORT or https://HOST, found 'localhost'"):
        estimate_over("localhost")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RunError, match="/v1/keypoints: expected an answer, found a failed connection"):
        estimate_over(f"http://127.0.0.1:{port}")
