"""The Open Inference Protocol, spoken by Triton's own client and by hand."""

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from service.api_keys import new_key
from service.errors import RequestError
from service.open_inference import HEADER_LENGTH, parse_inference
from tests.fakes import BOX_AROUND_CENTRES, CENTRES, CROP_HEIGHT, CROP_WIDTH, FakeEngine, draw_discs, encode
from tests.service.conftest import RunningServer, StartServer, running_repository
from tests.service.repositories import VersionEngine, save_manifest

PICTURE = encode(draw_discs())
MIRRORED = encode(np.ascontiguousarray(draw_discs()[:, ::-1]))
INFER = "/v2/models/discs/infer"


@pytest.fixture
def client(server: RunningServer) -> Iterator[Any]:
    """Triton's client of the server."""
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


def images_input(*files: bytes, binary: bool = True) -> Any:
    tensor = triton.InferInput("image", [len(files)], "BYTES")
    content = list(files) if binary else [base64.b64encode(file) for file in files]
    return tensor.set_data_from_numpy(np.array(content, np.object_), binary_data=binary)


def boxes_input(*boxes: tuple[float, ...], binary: bool = True) -> Any:
    tensor = triton.InferInput("boxes", [len(boxes), 4], "FP32")
    return tensor.set_data_from_numpy(np.array(boxes, np.float32), binary_data=binary)


def test_health_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("discs")
    assert client.is_model_ready("discs", "1.2.3")
    assert not client.is_model_ready("discs", "2")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("discs", "1.2.3")
    assert metadata == client.get_model_metadata("discs")
    assert metadata["versions"] == ["1.2.3"]
    assert [(one["name"], one["datatype"], one["shape"]) for one in metadata["inputs"]] == [
        ("image", "BYTES", [-1]), ("boxes", "FP32", [-1, 4]), ("crops", "UINT8", [-1, CROP_HEIGHT, CROP_WIDTH, 3]),
    ]  # fmt: skip
    assert [(one["name"], one["shape"]) for one in metadata["outputs"]] == [
        ("keypoints", [-1, 3, 2]), ("scores", [-1, 3]), ("boxes", [-1, 4]),
    ]  # fmt: skip


@pytest.mark.parametrize("binary", [True, False])
def test_keypoints_from_images(client: Any, server: RunningServer, binary: bool) -> None:
    boxes = (BOX_AROUND_CENTRES, (160 - 35 - 71, 25, 71, 71))
    inputs = [images_input(PICTURE, MIRRORED, binary=binary), boxes_input(*boxes, binary=binary)]
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("keypoints", "scores", "boxes")]
    answer = client.infer("discs", inputs, outputs=outputs, request_id="mine")
    keypoints = answer.as_numpy("keypoints")
    assert keypoints.dtype == np.float32
    assert np.abs(keypoints[0] - CENTRES).max() < 0.25
    assert np.abs(keypoints[1] - np.array([159, 0]) - CENTRES * [-1, 1]).max() < 0.25
    assert np.array_equal(answer.as_numpy("boxes"), np.array(boxes, np.float32))
    assert answer.as_numpy("scores").tolist() == [[1, 1, 1], [1, 1, 1]]
    described = answer.get_response()
    assert (described["model_name"], described["model_version"], described["id"]) == ("discs", "1.2.3", "mine")
    own = server.client.post(
        "/v1/keypoints", content=PICTURE, headers={"Content-Type": "image/png"}, params={"boxes": "35,25,71,71"}
    ).json()["instances"][0]["keypoints"]
    assert np.abs(keypoints[0] - [[point["x"], point["y"]] for point in own]).max() < 1e-3


def test_keypoints_without_boxes_and_only_what_is_wanted(client: Any) -> None:
    answer = client.infer("discs", [images_input(PICTURE)], outputs=[triton.InferRequestedOutput("keypoints")])
    assert np.abs(answer.as_numpy("keypoints")[0] - CENTRES).max() < 0.25
    assert answer.as_numpy("scores") is None
    everything = client.infer("discs", [images_input(PICTURE)])
    assert everything.as_numpy("boxes").shape == (1, 4)


@pytest.mark.parametrize("binary", [True, False])
def test_keypoints_from_a_tensor(client: Any, binary: bool) -> None:
    crops = np.random.default_rng(3).integers(0, 256, (3, CROP_HEIGHT, CROP_WIDTH, 3), np.uint8)
    tensor = triton.InferInput("crops", list(crops.shape), "UINT8").set_data_from_numpy(crops, binary_data=binary)
    answer = client.infer("discs", [tensor])
    expected = FakeEngine().run(crops)
    assert np.abs(answer.as_numpy("keypoints") - expected.points_in_crop_NK2).max() < 1e-5
    assert np.abs(answer.as_numpy("scores") - expected.scores_NK).max() < 1e-6


def test_what_goes_wrong_is_said_by_the_clients_exception(client: Any) -> None:
    cut = PICTURE[:-50]
    for arguments, words in (
        (("cow", [images_input(PICTURE)]), "there is no model 'cow'"),
        (("discs", [images_input(PICTURE, cut)]), "cut off"),
        (("discs", [boxes_input(BOX_AROUND_CENTRES)]), "expected image, image and boxes, or crops"),
        (("discs", [images_input(PICTURE), boxes_input((0, 0, 0, 1))]), "above zero"),
        (("discs", [images_input(PICTURE), boxes_input((0, 0, 1, 1), (0, 0, 1, 1))]), r"shape \[1, 4\]"),
    ):
        with pytest.raises(InferenceServerException, match=words):
            client.infer(*arguments)
    with pytest.raises(InferenceServerException, match="expected keypoints or scores or boxes, found 'masks'"):
        client.infer("discs", [images_input(PICTURE)], outputs=[triton.InferRequestedOutput("masks")])


def test_versions(tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0"):
        save_manifest(tmp_path / "cat" / version, "cat", version)
    with (
        running_repository(tmp_path, VersionEngine) as running,
        triton.InferenceServerClient(running.url.removeprefix("http://")) as client,
    ):
        assert client.get_model_metadata("cat")["versions"] == ["1.0.0", "2.0.0"]
        for asked, answered in (("", 2), ("1.0.0", 1), ("2.0.0", 2)):
            answer = client.infer("cat", [images_input(PICTURE)], model_version=asked)
            assert answer.get_response()["model_version"] == f"{answered}.0.0"
            assert answer.as_numpy("scores").ravel() == pytest.approx([answered / 1000] * 3)


def test_keys_and_bounds_hold_here_too(start_server: StartServer, tmp_path: Path) -> None:
    key, sha256 = new_key()
    keys = tmp_path / "keys.toml"
    keys.write_text(
        f'[[key]]\nname = "tester"\nsha256 = "{sha256}"\nimages_per_second = 0.001\nburst = 2\n', encoding="utf-8"
    )
    running = start_server(api_keys=keys, max_images=2)
    bearer = {"Authorization": f"Bearer {key}"}
    with triton.InferenceServerClient(running.url.removeprefix("http://")) as client:
        assert client.is_server_live()
        with pytest.raises(InferenceServerException, match="Authorization: Bearer KEY, found none"):
            client.infer("discs", [images_input(PICTURE)])
        with pytest.raises(InferenceServerException, match="1 to 2 images or crops, found 3"):
            client.infer("discs", [images_input(PICTURE, PICTURE, PICTURE)], headers=bearer)
        assert client.infer("discs", [images_input(PICTURE)], headers=bearer).as_numpy("scores") is not None
        with pytest.raises(InferenceServerException, match="tester may send"):
            client.infer("discs", [images_input(PICTURE)], headers=bearer)


def message(**changes: Any) -> dict[str, Any]:
    image = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(PICTURE).decode()]}
    return {"inputs": [{**image, **changes}]}


WRONG: list[tuple[str, str, Any]] = [
    ("bad-request", "not JSON", b"{"),
    ("bad-request", "JSON object with inputs", []),
    ("bad-request", "list of 1 to 16 tensors", {"inputs": []}),
    ("bad-request", "objects with a name", {"inputs": [{}]}),
    ("bad-request", "parameters: expected an object", message(parameters=3)),
    ("bad-request", "binary_data_size up to 0", message(parameters={"binary_data_size": 9})),
    ("invalid-parameter", "expected datatype BYTES or UINT8 or FP32, found 'FP64'", message(datatype="FP64")),
    ("invalid-parameter", "expected a shape", message(shape=[-1])),
    ("invalid-parameter", "expected a shape", message(shape=[1] * 9)),
    ("invalid-parameter", "elements for the shape [2]", message(shape=[2])),
    ("invalid-parameter", "files in base64", message(data=["?"])),
    ("invalid-parameter", "files in base64", message(data=[7])),
    ("invalid-parameter", "expected data", message(data=None)),
    ("invalid-parameter", "image as BYTES", message(datatype="FP32", data=[1.0])),
    ("invalid-parameter", "UINT8 of shape [N, 40, 48, 3]", message(name="crops", datatype="UINT8", data=[1])),
    ("invalid-parameter", "UINT8 of shape [1]", message(name="crops", datatype="UINT8", data=[256])),
    ("invalid-parameter", "'image' twice", {"inputs": message()["inputs"] * 2}),
    ("invalid-parameter", "id: expected a text", {**message(), "id": 3}),
]


@pytest.mark.parametrize(("slug", "words", "content"), WRONG)
def test_the_callers_mistakes(server: RunningServer, slug: str, words: str, content: Any) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = server.client.post(INFER, content=body)
    assert words in answer.json()["error"]
    assert answer.json()["type"] == slug


def test_bytes_that_do_not_fit(server: RunningServer) -> None:
    def post(entry: dict[str, Any], tail: bytes, length: str = "") -> httpx.Response:
        text = json.dumps({"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", **entry}]}).encode()
        return server.client.post(INFER, content=text + tail, headers={HEADER_LENGTH: length or str(len(text))})

    whole = struct.pack("<I", len(PICTURE)) + PICTURE
    sized = {"parameters": {"binary_data_size": len(whole)}}
    assert post(sized, whole).status_code == 200
    for response, words in (
        (post(sized, whole + b"x"), "found 1 more"),
        (post(sized, whole[:-1]), "binary_data_size up to"),
        (post({"parameters": {"binary_data_size": 3}}, b"abc"), "cut off"),
        (post({"parameters": {"binary_data_size": 8}}, struct.pack("<I", 9) + b"abcd"), "cut off"),
        (post({"datatype": "FP32", "parameters": {"binary_data_size": 8}}, bytes(8)), "8 bytes for FP32"),
        (post(sized, whole, "999999999"), HEADER_LENGTH),
        (post(sized, whole, "x"), HEADER_LENGTH),
    ):
        assert response.status_code in {400, 422}
        assert words in response.json()["error"]


@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode), length=st.none() | st.text(max_size=4))
def test_garbage_is_a_request_error_and_nothing_else(body: bytes, length: str | None) -> None:
    with pytest.raises(RequestError):
        parse_inference(body, length)
