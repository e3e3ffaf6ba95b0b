"""A bundle that is not what its manifest says is refused with the reason; the one it should replace still serves."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.contract.bundle_manifest import file_sha256
from service.model_loading import load_model
from tests.fakes import CENTRES, draw_discs, encode, fake_manifest, write_bundle
from tests.server_process import serving
from tests.service.conftest import RunningServer
from tests.service.repositories import admin_of
from tests.service.test_engine_failures import wait_until
from tests.service.test_http_problems import PNG, check_problem

PICTURE = encode(draw_discs())
NEXT = "2.0.0"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of a real bundle, and a client that may change it."""
    root = tmp_path_factory.mktemp("repository") / "models"
    write_bundle(root / "discs" / "1.2.3")
    with admin_of(root, partial(load_model, provider="cpu", intra_op_threads=1), max_batch=2) as running:
        yield running


def flip_a_byte(folder: Path) -> None:
    graph = bytearray((folder / "model.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (folder / "model.onnx").write_bytes(graph)


def truncate(folder: Path) -> None:
    """Cut off, with a manifest that agrees: as when the file was cut off before it was exported."""
    graph = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(graph[: len(graph) // 2])
    name_its_hash(folder)


def name_its_hash(folder: Path) -> None:
    fake_manifest({"model.onnx": file_sha256(folder / "model.onnx")}, version=NEXT).save(folder)


def name_another_size(folder: Path) -> None:
    """The manifest of a model for crops that are a pixel wider."""
    digest = {"model.onnx": file_sha256(folder / "model.onnx")}
    manifest = fake_manifest(digest, version=NEXT)
    wider = {
        "input": manifest.input.model_dump() | {"width": manifest.input.width + 1},
        "output": manifest.output.model_dump() | {"heatmap_width": manifest.input.width + 1},
    }
    fake_manifest(digest, version=NEXT, **wider).save(folder)


def name_another_hash(folder: Path) -> None:
    fake_manifest({"model.onnx": "f" * 64}, version=NEXT).save(folder)


def lose_the_graph(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def break_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 1, "name": "discs"', encoding="utf-8")


def fail_on_two(folder: Path) -> None:
    """A graph that holds what its manifest says and runs on single crops only."""
    model = onnx.load(folder / "model.onnx")
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 3], np.int64), "one_crop"))
    model.graph.node[3].output[0] = "any_scores"
    model.graph.node.append(helper.make_node("Reshape", ["any_scores", "one_crop"], ["scores"]))
    onnx.save_model(model, folder / "model.onnx")
    name_its_hash(folder)


def nothing(_: Path) -> None:
    pass


WRONG: list[tuple[str, dict[str, object], Callable[[Path], None], str]] = [
    ("corrupted", {}, flip_a_byte, "SHA-256 is"),
    ("truncated", {}, truncate, "onnxruntime cannot load it"),
    ("wrong hash", {}, name_another_hash, f"the manifest says {'f' * 64}"),
    ("no graph", {}, lose_the_graph, "model.onnx: named in the manifest but cannot be read"),
    ("half a manifest", {}, break_the_manifest, "Invalid JSON"),
    ("wrong type", {"input_type": TensorProto.FLOAT}, nothing, "crops should be uint8 of shape"),
    ("wrong shape", {}, name_another_size, "crops should be uint8 of shape (N, 40, 49, 3)"),
    ("fixed batch", {"batch": 1}, nothing, "expected any batch size, found the fixed size 1"),
    ("other answers", {"golden_shift": 1.0}, nothing, "golden image discs.png: a keypoint lies 1."),
    ("a batch fails", {}, fail_on_two, "a forward pass failed"),
]


@pytest.mark.parametrize(("changes", "break_it", "why"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_cannot_be_used_changes_nothing(
    running: RunningServer, changes: dict[str, object], break_it: Callable[[Path], None], why: str
) -> None:
    folder = running.app.state.repository.root / "discs" / NEXT
    try:
        write_bundle(folder, version=NEXT, **changes)  # type: ignore[arg-type] # each case has its own
        break_it(folder)
        check_problem(running.client.post("/v1/repository/discs/load"), "unusable-bundle", why)
        [refused] = running.client.post("/v1/repository:rescan").json()["refused"]
        assert (refused["name"], refused["version"]) == ("discs", NEXT)
        assert why in refused["why"]
    finally:
        shutil.rmtree(folder)
    answer = running.client.post("/v1/keypoints", content=PICTURE, headers=PNG)
    assert answer.headers["x-model-version"] == "1.2.3"
    points = [[point["x"], point["y"]] for point in answer.json()["instances"][0]["keypoints"]]
    assert np.abs(np.array(points) - CENTRES).max() < 0.5
    assert [model["version"] for model in running.client.get("/v1/models").json()["models"]] == ["1.2.3"]


def test_what_is_whole_is_taken(running: RunningServer) -> None:
    folder = write_bundle(running.app.state.repository.root / "discs" / NEXT, version=NEXT)
    assert running.client.post("/v1/repository:rescan").json()["loaded"][0]["version"] == NEXT
    answer = running.client.post("/v1/keypoints", content=PICTURE, headers=PNG)
    assert answer.headers["x-model-version"] == NEXT
    shutil.rmtree(folder)
    assert running.client.post("/v1/repository:rescan").json()["unloaded"][0]["version"] == NEXT


def test_a_hangup_is_a_rescan(tmp_path: Path) -> None:
    write_bundle(tmp_path / "discs")
    with serving(tmp_path, "--max-batch", "1") as server, server.client() as client:
        write_bundle(tmp_path / "more", name="more")
        os.kill(server.process.pid, signal.SIGHUP)
        wait_until(lambda: len(client.get("/v1/models").json()["models"]) == 2)
        shutil.rmtree(tmp_path / "more")
        write_bundle(tmp_path / "discs", version=NEXT)
        os.kill(server.process.pid, signal.SIGHUP)
        wait_until(lambda: [one["version"] for one in client.get("/v1/models").json()["models"]] == [NEXT])
        # It is closed when the last request that used it is done, in a thread.
        for message in ("rescan: 1 loaded, 2 unloaded, 0 refused", "discs 1.2.3 is closed"):
            wait_until(lambda message=message: message in server.log.read_text(encoding="utf-8"))  # type: ignore[misc]
        assert all(json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines())
