"""Prometheus takes the configuration and the rules; every alert has a course of events in which it fires."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.paths import BATCH_PATH, KEYPOINTS_PATH
from tests.deploy.programs import REPOSITORY, program, run
from tests.fakes import FakeEngine
from tests.service.conftest import running_server

FOLDER = REPOSITORY / "deploy" / "prometheus"
TESTS = sorted(FOLDER.glob("*.test.yml"))
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


def test_the_configuration_for_a_cluster_but_for_its_discovery(tmp_path: Path) -> None:
    """Debian builds promtool without Kubernetes, so that targets by hand take the place of its discovery."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    text = (FOLDER / "kubernetes.yml").read_text(encoding="utf-8")
    by_hand = re.sub(r"kubernetes_sd_configs:\n +- role: pod\n", 'static_configs: [{targets: ["pod:8001"]}]\n', text)
    assert by_hand != text
    (tmp_path / "kubernetes.yml").write_text(by_hand, encoding="utf-8")
    assert "SUCCESS" in run([program("promtool"), "check", "config", str(tmp_path / "kubernetes.yml")])
    named = set(re.findall(r"target_label: (\w+)", text))
    assert named == {"namespace", "pod"}  # what the autoscaler's metric is asked by


def test_every_alert_fires_in_its_test() -> None:
    assert run([program("promtool"), "test", "rules", *map(str, TESTS)]).count("SUCCESS") == len(TESTS)


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = [test for path in TESTS for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in rules("alerts.yml")}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts


def test_the_error_budget_is_that_of_every_route_that_answers_keypoints() -> None:
    for rule in rules("recording.yml"):
        for pattern in re.findall(r'route=~"([^"]+)"', rule["expr"]):
            assert all(re.fullmatch(pattern, path) for path in (KEYPOINTS_PATH, BATCH_PATH))
            assert not re.fullmatch(pattern, "/metrics")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(REPOSITORY / "deploy").as_posix())
def test_every_metric_that_is_named_exists(path: Path, metrics_of_the_service: set[str]) -> None:
    text = path.read_text(encoding="utf-8")
    named = {SUFFIXES.sub("", name) for name in re.findall(r"\bfocalpoint_[a-z_]+\b", text)}
    assert named <= metrics_of_the_service
    recorded = set(re.findall(r"\bfocalpoint:[a-z_]+:[a-z0-9_]+\b", text))
    assert recorded <= {rule["record"] for rule in rules("recording.yml")}
