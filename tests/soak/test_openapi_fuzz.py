"""Requests made from the OpenAPI document: no 5xx, and every answer is one that the document promises."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

from tests.fakes import draw_discs, encode
from tests.server_process import serving
from tests.soak.conftest import at_length

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def test_the_server_does_what_its_document_says(discs: Path) -> None:
    picture = encode(draw_discs())
    for media_type in ("image/*", "application/octet-stream"):
        schemathesis.openapi.media_type(media_type, st.sampled_from([picture, picture[:-9], b"GIF89a", b""]))
    statuses: Counter[tuple[str, int]] = Counter()
    with serving(discs) as server:
        interface = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        operations = [found.ok() for found in interface.get_all_operations() if isinstance(found, Ok)]
        assert len(operations) == 16
        for operation, mode in itertools.product(operations, schemathesis.GenerationMode):
            if mode.is_negative and operation.method == "get":
                continue  # there is nothing in them that could be wrong

            @settings(
                max_examples=at_length(25, 1000), deadline=None, database=None,
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def asks(case: schemathesis.Case[Any]) -> None:
                case.headers.pop("X-Deadline-Ms", None)  # a deadline of a millisecond is rightly missed
                answer = case.call_and_validate(checks=CHECKS)
                statuses[case.path, answer.status_code] += 1

            asks()
        assert server.process.poll() is None
    print(f"\n{dict(statuses)}")  # noqa: T201
    assert statuses["/v1/models", 200] > 0
