"""Strangers' bytes: whatever comes, the answer is a 2xx or a 4xx, the server lives, and its memory comes back."""

import random
from collections import Counter

import httpx

from service.problem_details import PROBLEM_MEDIA_TYPE
from tests.server_process import ServerProcess, serving
from tests.soak.conftest import at_length
from tests.soak.mutations import Body, mutate, valid_batches, valid_bodies

MEBIBYTE = 2**20


def test_mutated_bodies(discs: object) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    statuses: Counter[int] = Counter()
    with serving(str(discs), "--allow-tiff") as server, server.client() as client:
        one, several = valid_bodies(), valid_batches()
        for name, body in [*one.items(), *several.items()]:
            answer = _post(client, name, body)
            assert answer.status_code == 200, (name, answer.text)
            _mutated(client, name, body, chance, 100, seed)  # warm: every decoder has run
        before = server.resident_bytes()
        per_kind = at_length(600, 24_000) // (len(one) + len(several))
        for name, body in [*one.items(), *several.items()]:
            statuses += _mutated(client, name, body, chance, per_kind, seed)
        _still_well(server, client, before)
    assert statuses[200] > 0
    assert statuses.keys() <= {200, 400, 413, 415, 422}, statuses
    print(f"\nseed {seed}: {sum(statuses.values())} mutated bodies, answers {dict(statuses)}")  # noqa: T201


def _mutated(client: httpx.Client, name: str, body: Body, chance: random.Random, count: int, seed: int) -> Counter[int]:
    statuses: Counter[int] = Counter()
    for index in range(count):
        content = mutate(body.content, chance)
        answer = _post(client, name, Body(body.content_type, content))
        assert answer.status_code < 500, (name, index, seed, answer.text)
        if answer.status_code != 200:
            assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE, (name, index, seed)
        statuses[answer.status_code] += 1
    return statuses


def _post(client: httpx.Client, name: str, body: Body) -> httpx.Response:
    path = "/v1/keypoints:batch" if name.endswith("batch") else "/v1/keypoints"
    return client.post(path, content=body.content, headers={"Content-Type": body.content_type})


def _still_well(server: ServerProcess, client: httpx.Client, before: int) -> None:
    assert server.process.poll() is None
    assert client.get("/readyz").status_code == 200
    grown = server.resident_bytes() - before
    assert grown < 24 * MEBIBYTE, f"resident memory grew by {grown / MEBIBYTE:.1f} MiB"
    samples = client.get("/metrics").text
    assert "focalpoint_queue_depth 0.0" in samples
    assert "focalpoint_in_flight_images 0.0" in samples
