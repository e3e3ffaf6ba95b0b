"""One exposition of several: nothing is lost, nothing is added up, and what is missing is told."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from service.workers.gathered_metrics import GatheredMetrics, merged
from service.workers.worker_place import WorkerPlace


def some_metrics(answers: int) -> Metrics:
    metrics = Metrics()
    for _ in range(answers):
        metrics.answered("/v1/keypoints", 200)
    metrics.stage("crop", 0.01)
    metrics.on_batch(3, 4, "full")
    metrics.model_loaded("discs", "1.2.3", "0" * 64, "cpu")
    metrics.of_model("discs").on_scores(np.full((2, 3), 0.5, np.float32))
    return metrics


def samples(exposition: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if not sample.name.startswith("process_")  # move on between two looks
    }


def test_every_sample_of_every_worker_is_there_with_its_label() -> None:
    texts = {"0": some_metrics(2).exposition().decode(), "1": some_metrics(3).exposition().decode()}
    found = samples(merged({**texts, "2": None}))
    expected = {
        (name, labels | {("worker", worker)}): value
        for worker, text in texts.items()
        for (name, labels), value in samples(text).items()
    }
    for worker, up in (("0", 1.0), ("1", 1.0), ("2", 0.0)):
        expected["focalpoint_worker_up", frozenset({("worker", worker)})] = up
    assert found == expected
    types = {family.name: family.type for family in text_string_to_metric_families(merged(texts))}
    for family in text_string_to_metric_families(texts["0"]):
        assert types[family.name] == family.type


def test_names_and_values_with_spaces_and_braces_keep_their_labels() -> None:
    text = '# HELP a_total What {it} is\n# TYPE a_total counter\na_total{x="{y} z"} 1.0\na_total 2e-05\n'
    assert merged({"0": text}).splitlines()[:4] == [
        "# HELP a_total What {it} is",
        "# TYPE a_total counter",
        'a_total{worker="0",x="{y} z"} 1.0',
        'a_total{worker="0"} 2e-05',
    ]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_whoever_is_asked_asks_the_others_and_does_without_who_does_not_answer(
    places: list[WorkerPlace], run: Callable[[Coroutine[Any, Any, list[bytes]]], list[bytes]]
) -> None:
    def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(some_metrics(7).exposition()[:-1])  # it dies before the end
        writer.close()

    async def scenario() -> list[bytes]:
        first, second = (GatheredMetrics(some_metrics(place.number + 1), place) for place in places[:2])
        async with first.told_to_siblings(), second.told_to_siblings():
            answers = [await first.exposition(), await second.exposition()]  # nobody answers at the third
            async with await asyncio.start_unix_server(half, sock=places[2].metrics_listeners[2].dup()):
                return [*answers, await first.exposition()]

    for answer in run(scenario()):
        found = samples(answer.decode())
        labels = [frozenset({("route", "/v1/keypoints"), ("code", "200"), ("worker", worker)}) for worker in "012"]
        assert [found.get(("focalpoint_requests_total", each)) for each in labels] == [1.0, 2.0, None]
        assert [found["focalpoint_worker_up", frozenset({("worker", worker)})] for worker in "012"] == [1.0, 1.0, 0.0]


def test_other_users_of_the_machine_are_told_nothing(
    places: list[WorkerPlace], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> bytes:
        async with GatheredMetrics(some_metrics(1), places[0]).told_to_siblings():
            monkeypatch.setattr("service.workers.gathered_metrics._user_of", lambda _: os.getuid() + 1)
            reader, writer = await asyncio.open_unix_connection(places[0].metrics_listeners[0].getsockname())
            try:
                return await reader.read()
            finally:
                writer.close()

    assert asyncio.run(scenario()) == b""


def test_the_only_process_has_no_label() -> None:
    metrics = some_metrics(1)
    exposition = asyncio.run(GatheredMetrics(metrics, None).exposition()).decode()
    assert samples(exposition) == samples(metrics.exposition().decode())
    assert "worker" not in exposition
