"""What an operator asks: health, metrics, the models, and the documentation of the interface."""

from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.model_repository import LoadedBundle
from service.request_record import STAGES
from service.schemas import KeypointsAnswer
from service.settings import Settings
from tests.fakes import FakeEngine, draw_discs, encode
from tests.service.conftest import RunningServer, StartServer, unloadable


def test_alive_and_ready(server: RunningServer) -> None:
    assert server.client.get("/livez").text == "alive"
    assert server.client.get("/readyz").text == "ready"


def test_a_stopping_server_is_not_ready_and_still_answers(start_server: StartServer) -> None:
    running = start_server()
    running.app.state.readiness.stopping = True
    assert running.client.get("/readyz").json()["detail"] == "the server is stopping"
    answer = running.client.post("/v1/keypoints", content=encode(draw_discs()), headers={"Content-Type": "image/png"})
    assert answer.status_code == 200
    KeypointsAnswer.model_validate_json(answer.content, strict=True)


def test_models(server: RunningServer) -> None:
    [listed] = server.client.get("/v1/models").json()["models"]
    model = server.client.get("/v1/models/discs").json()
    assert {**listed, "versions": ["1.2.3"], "card": ""} == model
    assert model["keypoint_names"] == ["red", "green", "blue"]
    assert model["skeleton"] == [[0, 1], [1, 2]]
    assert model["flip_pairs"] == [[0, 1]]
    assert (model["input_width"], model["input_height"]) == (48, 40)
    assert model["licence"]["research_only"] is False
    assert set(model["sha256"]) == {"model.onnx"}
    assert model["provider"] == "cpu"


def test_metrics_say_what_has_happened(start_server: StartServer) -> None:
    running = start_server(max_batch=4)
    request: dict[str, Any] = {"content": encode(draw_discs()), "headers": {"Content-Type": "image/png"}}
    assert running.client.post("/v1/keypoints", **request).status_code == 200
    assert running.client.post("/v1/keypoints", **request, params={"boxes": "1"}).status_code == 422
    running.client.get("/v1/models/discs")
    running.client.get("/some/scanner")
    samples = dict(line.rsplit(" ", 1) for line in running.metrics().splitlines() if not line.startswith("#"))
    expected = {
        'focalpoint_requests_total{code="200",route="/v1/keypoints"}': 1,
        'focalpoint_requests_total{code="422",route="/v1/keypoints"}': 1,
        'focalpoint_requests_total{code="200",route="/v1/models/{name}"}': 1,
        'focalpoint_requests_total{code="404",route="unknown"}': 1,
        'focalpoint_rejected_total{reason="invalid-parameter"}': 1,
        'focalpoint_crops_total{model="discs"}': 2,
        'focalpoint_batch_release_total{reason="idle"}': 2,
        "focalpoint_batch_size_sum": 2,
        "focalpoint_batch_size_count": 2,
        "focalpoint_batch_fill_ratio_sum": 2,
        "focalpoint_in_flight_images": 0,
        "focalpoint_queue_depth": 0,
        "focalpoint_queue_wait_seconds_count": 2,
        'focalpoint_keypoint_score_count{model="discs"}': 6,
        'focalpoint_keypoint_score_sum{model="discs"}': 6,
        'focalpoint_keypoint_score_bucket{le="0.5",model="discs"}': 0,
        'focalpoint_keypoint_score_bucket{le="1.0",model="discs"}': 6,
        f'focalpoint_model_info{{model="discs",sha256="{"0" * 64}",version="1.2.3"}}': 1,
        'focalpoint_provider_info{provider="cpu"}': 1,
    }
    assert {name: float(samples.get(name, -1)) for name in expected} == expected
    requests = {stage: float(samples[f'focalpoint_stage_seconds_count{{stage="{stage}"}}']) for stage in STAGES}
    assert requests == dict(zip(STAGES, (2, 1, 1, 1, 1, 1, 1), strict=True))


def test_two_applications_share_nothing(start_server: StartServer) -> None:
    one, other = start_server(), start_server()
    one.client.get("/livez")
    assert 'route="/livez"' in one.metrics()
    assert 'route="/livez"' not in other.metrics()


def test_the_interface_is_documented(server: RunningServer) -> None:
    assert "swagger" in server.client.get("/docs").text
    document = server.client.get("/openapi.json").json()
    assert {path for path in document["paths"] if not path.startswith("/v2")} == {
        "/v1/keypoints", "/v1/keypoints:batch", "/v1/models", "/v1/models/{name}", "/livez", "/readyz", "/metrics",
    }  # fmt: skip
    keypoints = document["paths"]["/v1/keypoints"]["post"]
    assert set(keypoints["requestBody"]["content"]) == {
        "image/*", "application/octet-stream", "multipart/form-data", "application/json",
    }  # fmt: skip
    assert set(keypoints["responses"]) == {
        "200", "400", "401", "404", "406", "408", "413", "415", "422", "429", "500", "503", "504",
    }  # fmt: skip
    refused = keypoints["responses"]["422"]["content"]
    assert set(refused) == {"application/problem+json"}
    slugs = refused["application/problem+json"]["schema"]["properties"]["type"]["enum"]
    assert slugs == ["unprocessable-image", "invalid-parameter"]
    answer = keypoints["responses"]["200"]["content"]["application/json"]["schema"]
    assert [one["$ref"].rpartition("/")[2] for one in answer["anyOf"]] == [
        "KeypointsAnswer", "CocoAnswer", "CompactAnswer",
    ]  # fmt: skip
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_creating_an_application_starts_nothing() -> None:
    engine = FakeEngine()
    app = create_app(Settings(), [LoadedBundle(Path("discs"), engine)], unloadable)
    assert not engine.batch_sizes
    assert app.state.readiness.stopping is False


@pytest.mark.parametrize("path", ["/v1/keypoints/", "/LIVEZ", "/redoc"])
def test_there_is_one_address_for_each_thing(server: RunningServer, path: str) -> None:
    assert server.client.get(path, follow_redirects=False).status_code in {307, 404}
