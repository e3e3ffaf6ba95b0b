"""Prometheus takes the configuration and the rules; every alert has a course of events in which it fires."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.programs import REPOSITORY, program, run
from tests.fakes import FakeEngine
from tests.service.conftest import running_server

FOLDER = REPOSITORY / "deploy" / "prometheus"
DASHBOARD = REPOSITORY / "deploy" / "grafana" / "dashboards" / "focalpoint.json"
# The files in which metrics are named, and what becomes of a metric's name in the exposition.
FILES = [*FOLDER.glob("*.yml"), DASHBOARD, *(REPOSITORY / "deploy" / "kubernetes").rglob("*.yaml")]
SUFFIXES = re.compile(r"_(?:bucket|count|sum)$")


def rules(file: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def metrics_of_the_service() -> set[str]:
    """The names that a server exposes, whether or not they have a sample yet."""
    with running_server(FakeEngine()) as server:
        families = re.findall(r"^# TYPE (\S+) ", server.metrics(), re.MULTILINE)
    return {name for name in families if not name.endswith("_created")}


def test_promtool_takes_the_configuration_and_the_rules() -> None:
    assert "SUCCESS" in run([program("promtool"), "check", "config", str(FOLDER / "prometheus.yml")])
    files = [str(FOLDER / name) for name in ("recording.yml", "alerts.yml")]
    assert run([program("promtool"), "check", "rules", *files]).count("SUCCESS") == len(files)


def test_every_alert_fires_in_its_test() -> None:
    assert "SUCCESS" in run([program("promtool"), "test", "rules", str(FOLDER / "alerts.test.yml")])


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = yaml.safe_load((FOLDER / "alerts.test.yml").read_text(encoding="utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in rules("alerts.yml")}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(REPOSITORY / "deploy").as_posix())
def test_every_metric_that_is_named_exists(path: Path, metrics_of_the_service: set[str]) -> None:
    text = path.read_text(encoding="utf-8")
    named = {SUFFIXES.sub("", name) for name in re.findall(r"\bfocalpoint_[a-z_]+\b", text)}
    assert named <= metrics_of_the_service
    recorded = set(re.findall(r"\bfocalpoint:[a-z_]+:[a-z0-9_]+\b", text))
    assert recorded <= {rule["record"] for rule in rules("recording.yml")}
