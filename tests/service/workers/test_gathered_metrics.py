"""One exposition of several: nothing is lost, nothing is added up, and what is missing is told."""

import asyncio
from pathlib import Path

import numpy as np
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
    found = samples(merged({**texts, "2": None}).decode())
    expected = {
        (name, labels | {("worker", worker)}): value
        for worker, text in texts.items()
        for (name, labels), value in samples(text).items()
    }
    for worker, up in (("0", 1.0), ("1", 1.0), ("2", 0.0)):
        expected["focalpoint_worker_up", frozenset({("worker", worker)})] = up
    assert found == expected
    types = {family.name: family.type for family in text_string_to_metric_families(merged(texts).decode())}
    for family in text_string_to_metric_families(texts["0"]):
        assert types[family.name] == family.type


def test_whoever_is_asked_asks_the_others_and_does_without_who_does_not_answer(tmp_path: Path) -> None:
    async def scenario() -> list[bytes]:
        places = [WorkerPlace(number, 3, tmp_path, None) for number in range(3)]
        first, second = (GatheredMetrics(some_metrics(place.number + 1), place) for place in places[:2])
        asked: list[asyncio.StreamWriter] = []
        silent = await asyncio.start_unix_server(lambda _, writer: asked.append(writer), places[2].metrics_socket(2))
        async with silent, first.told_to_siblings(), second.told_to_siblings():
            answers = [await first.exposition(), await second.exposition()]
        for writer in asked:
            writer.close()
            await writer.wait_closed()
        return answers

    answers = asyncio.run(scenario())
    for answer in answers:
        found = samples(answer.decode())
        labels = [frozenset({("route", "/v1/keypoints"), ("code", "200"), ("worker", worker)}) for worker in "012"]
        assert [found.get(("focalpoint_requests_total", each)) for each in labels] == [1.0, 2.0, None]
        assert [found["focalpoint_worker_up", frozenset({("worker", worker)})] for worker in "012"] == [1.0, 1.0, 0.0]


def test_the_only_process_has_no_label() -> None:
    metrics = some_metrics(1)
    exposition = asyncio.run(GatheredMetrics(metrics, None).exposition()).decode()
    assert samples(exposition) == samples(metrics.exposition().decode())
    assert "worker" not in exposition
