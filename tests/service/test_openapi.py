"""The interface is frozen: a change of it is a change of this file, seen in review.

After a change that is meant:
    python -c "from tests.service.test_openapi import write; write()"
"""

import base64
import json
from pathlib import Path
from typing import Any

from service.app import create_app
from service.schemas import CocoAnswer, CompactAnswer, KeypointsAnswer, KeypointsRequest, ModelDetails
from service.settings import Settings
from tests.fakes import draw_discs, encode
from tests.service.conftest import RunningServer, unloadable

FROZEN = Path(__file__).with_name("openapi.json")


def current() -> dict[str, Any]:
    """The OpenAPI document without the project's version, which changes without the interface."""
    document = create_app(Settings(), [], unloadable).openapi()
    del document["info"]["version"]
    return document


def write() -> None:
    """Freeze the interface as it is now."""
    FROZEN.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def test_the_interface_is_as_frozen() -> None:
    assert current() == json.loads(FROZEN.read_text(encoding="utf-8"))


def test_the_examples_are_what_their_schemas_say() -> None:
    for model in (KeypointsAnswer, CocoAnswer, CompactAnswer, KeypointsRequest):
        extra = model.model_config["json_schema_extra"]
        assert isinstance(extra, dict)
        model.model_validate_json(json.dumps(extra["example"]))


def test_answers_are_what_their_schemas_say(server: RunningServer) -> None:
    body = {"image": base64.b64encode(encode(draw_discs())).decode(), "boxes": [[35, 25, 71, 71]]}
    for model, options in (
        (KeypointsAnswer, {}),
        (KeypointsAnswer, {"heatmaps": True, "coordinates": "normalized"}),
        (CocoAnswer, {"format": "coco"}),
        (CompactAnswer, {"format": "compact"}),
    ):
        answer = server.client.post("/v1/keypoints", json={**body, **options})
        validated = model.model_validate_json(answer.content, strict=True)
        assert json.loads(validated.model_dump_json(exclude_none=True)) == answer.json()
    ModelDetails.model_validate_json(server.client.get("/v1/models/discs").content)
