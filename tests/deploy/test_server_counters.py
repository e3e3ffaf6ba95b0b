"""What the server counts against what the client counts."""

from collections import Counter

import pytest
from load_generator import closed_loop, keypoints_message, run
from server_counters import (
    Counters,
    Difference,
    Identity,
    difference,
    disagreements,
    identity,
    parse_counters,
    scrape,
    scrape_when_counted,
)

from tests.fakes import FakeEngine, draw_discs, encode
from tests.service.conftest import running_server

EXPOSITION = """\
# TYPE focalpoint_requests_total counter
focalpoint_requests_total{code="200",route="/v1/keypoints"} 7.0
focalpoint_requests_total{code="429",route="/v1/keypoints"} 2.0
focalpoint_requests_total{code="200",route="/metrics"} 50.0
focalpoint_crops_total{model="a"} 9.0
focalpoint_crops_total{model="b"} 5.0
focalpoint_batch_size_count 4.0
focalpoint_stage_seconds_sum{stage="queue"} 0.5
focalpoint_stage_seconds_sum{stage="infer"} 1.5
process_cpu_seconds_total 12.25
focalpoint_model_info{model="face68",sha256="cc",version="1.0.0"} 1.0
"""


def test_counters_are_read() -> None:
    counters = parse_counters(EXPOSITION)
    assert counters == Counters(Counter({"200": 7, "429": 2}), 14, 4, 0.5, 2.0, 12.25)
    assert identity(EXPOSITION) == Identity("face68", "1.0.0", "cc")
    assert identity("") is None
    nothing = parse_counters("")
    assert nothing.cpu_seconds is None
    assert difference(parse_counters(EXPOSITION.replace("12.25", "12.30")), counters).cpu_ms_per_request is None
    since_start = difference(nothing._replace(cpu_seconds=12.0), counters)
    assert since_start[:4] == (counters.requests, 14, 3.5, 0.25)
    assert since_start.cpu_ms_per_request == pytest.approx(1000 * 0.25 / 9)


def server(requests: dict[str, int], crops: int) -> Difference:
    return Difference(Counter(requests), crops, None, None, None)


def test_counters_that_agree() -> None:
    assert disagreements({200: 5, 429: 1}, [2], server({"200": 5, "429": 1}, 10)) == []
    assert disagreements({200: 5}, [1, 2], server({"200": 5}, 8)) == []
    # Whoever's connection broke may have been answered.
    assert disagreements({200: 5, "EOFError": 2}, [1], server({"200": 6}, 6)) == []


@pytest.mark.parametrize(
    ("statuses", "found", "said"),
    [
        ({200: 5}, server({"200": 4}, 5), "status 200: the client has seen 5, the server counts 4"),
        ({200: 5}, server({"200": 5, "503": 1}, 5), "status 503: the client has seen 0, the server counts 1"),
        ({200: 5}, server({"200": 5}, 6), "crops: expected 5 for 5 answers, the server counts 6"),
        ({200: 5, 504: 1}, server({"200": 5, "504": 1}, 4), "crops: expected 5 for 5 answers, the server counts 4"),
        ({200: 5, "EOFError": 1}, server({"200": 7}, 7), "status 200: the client has seen 5, the server counts 7"),
    ],
)
def test_counters_that_differ(statuses: dict[int | str, int], found: Difference, said: str) -> None:
    assert disagreements(statuses, [1], found) == [said]


def test_a_real_server_counts_what_it_was_asked() -> None:
    with running_server(FakeEngine()) as running:
        message = keypoints_message(running.url, encode(draw_discs()))
        before = parse_counters(scrape(running.url))
        load = run(closed_loop(running.url, [message], 2, 20, max_requests=9))
        found = difference(before, scrape_when_counted(running.url, before, 9))
        assert disagreements(load.statuses(), [2], found) == []
        assert found.crops == 18
        assert found.mean_batch is not None
        assert 1 <= found.mean_batch <= 2
        assert found.queue_share is not None
        assert 0 < found.queue_share < 1
        # Somebody else asks too.
        run(closed_loop(running.url, [message], 1, 20, max_requests=1))
        found = difference(before, scrape_when_counted(running.url, before, 10))
        assert "status 200: the client has seen 9, the server counts 10" in disagreements(load.statuses(), [2], found)


def test_it_says_how_much_processor_time_it_used() -> None:
    with running_server(FakeEngine()) as running:
        first, second = (parse_counters(scrape(running.url)).cpu_seconds for _ in range(2))
    assert first is not None
    assert second is not None
    assert 0 < first <= second
