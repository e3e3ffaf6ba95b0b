"""The shipped model over HTTP beside the same work without it: ratios only, with room for a machine that others share.

A step that comes back for every request (a body copied through a form parser, an answer through pydantic, a second
decoding) costs more than the room. What was measured on a quiet machine: docs/performance.md.
"""

import pytest
from benchmark_pictures import portraits
from ceilings import ceilings_process
from comparison import Rounds, largest_difference, ratios, take_turns
from own_server import own_server
from run_description import cores

from tests.end_to_end.test_readme import BUNDLE

MOST_CPU, LEAST_THROUGHPUT = 1.6, 0.5
ARRANGEMENT = {"threads": 2 * cores(), "group": 1, "intra_op_threads": 1}
ROUNDS, SECONDS, CONNECTIONS = 3, 0.7, 8


def too_slow(found: dict[str, float | None]) -> list[str]:
    """What is wrong with the ratios; nothing where the service is fast enough."""
    cpu, throughput = found["cpu"], found["throughput"]
    assert cpu is not None, "the server counts its CPU seconds"
    assert throughput is not None
    wrong = [f"CPU per request is {cpu:.2f} of the pipeline's, at most {MOST_CPU}"] if cpu > MOST_CPU else []
    if throughput < LEAST_THROUGHPUT:
        wrong.append(f"throughput is {throughput:.2f} of the pipeline's, at least {LEAST_THROUGHPUT}")
    return wrong


def test_the_service_is_about_as_fast_as_its_own_parts_without_http() -> None:
    pictures = portraits([(640, 480)], with_box=True)
    with ceilings_process(BUNDLE, pictures) as ceilings, own_server(BUNDLE) as server:
        assert largest_difference(server.url, ceilings, pictures) < 0.01  # crop pixels; found: 0.0005
        in_turns = take_turns(
            server.url, ceilings, pictures, ARRANGEMENT, CONNECTIONS, cores=cores(), rounds=ROUNDS, seconds=SECONDS
        )
    assert too_slow(ratios(in_turns)) == [], in_turns


@pytest.mark.parametrize(
    ("cpu_ms", "per_second", "complaints"), [(5.0, 300.0, 0), (6.9, 300.0, 1), (5.0, 195.0, 1), (11.0, 147.0, 2)]
)
def test_the_gate_can_close(cpu_ms: float, per_second: float, complaints: int) -> None:
    pipeline = {"per_second": 400.0, "cpu_ms": 4.0}
    service = {"per_second": per_second, "cpu_ms": cpu_ms}
    in_turns: Rounds = {
        "pipeline": [pipeline],
        "service": [service],
        "pipeline_1": [{"p50_ms": 4}],
        "service_1": [{"p50_ms": 5}],
    }
    assert len(too_slow(ratios(in_turns))) == complaints
