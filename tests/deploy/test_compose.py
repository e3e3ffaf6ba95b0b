"""The compose file says what is meant; brought up, Prometheus has data for every query of the dashboard."""

import asyncio
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmark
import httpx
import pytest
import yaml
from load_generator import closed_loop, keypoints_message

from service.settings import Settings, variable_of
from tests.deploy.containers import free_port, picture, wait_until_ready
from tests.deploy.programs import REPOSITORY, program, run
from tests.deploy.test_dashboard import queries

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
CONNECTIONS, BURST_SECONDS, LOAD_SECONDS = 16, 5.0, 150.0
# Some are too late before they are read, some wait for the model until they are.
DEADLINES_MS = (1, 20, 40, 80)


def test_the_parts_and_their_profiles() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    assert profiles == {
        "focalpoint": [],
        "focalpoint-gpu": ["gpu"],
        "prometheus": [],
        "grafana": [],
        "load": ["load"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_part_has_no_rights_and_is_reached_from_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name != "grafana")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_variable_is_a_setting() -> None:
    settings = {variable_of(name) for name in Settings.model_fields}
    for service in SERVICES.values():
        assert {name for name in service.get("environment", {}) if name.startswith("FOCALPOINT_")} <= settings


def test_there_is_time_to_drain() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    for name in ("focalpoint", "focalpoint-gpu"):
        delay_ms = int(SERVICES[name].get("environment", {}).get("FOCALPOINT_DRAIN_DELAY_MS", 0))
        grace_ms = 1000 * int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert grace_ms > delay_ms + defaults["drain_timeout_ms"]


def test_the_load_is_the_benchmark() -> None:
    load = SERVICES["load"]
    _, script, *flags = load["entrypoint"]
    assert (REPOSITORY / script.removeprefix("/")).samefile(benchmark.__file__)
    assert benchmark.parser().parse_args([*flags, *load["command"]]).url == "http://focalpoint:8000"


@dataclass(frozen=True)
class Stack:
    """What is up: the addresses, and the command that everything else is asked with."""

    service: str
    prometheus: str
    compose: list[str]
    environment: dict[str, str]


@contextmanager
def up(engine: str, folder: Path) -> Iterator[Stack]:
    """The service and Prometheus, from the compose file; taken down at the end with what they stored."""
    compose = ["docker", "compose"] if engine == "docker" else [program("podman-compose")]
    compose += ["--project-name", f"focalpoint-check-{uuid.uuid4().hex[:8]}"]
    ports = {name: str(free_port()) for name in ("FOCALPOINT_PUBLISHED_PORT", "PROMETHEUS_PUBLISHED_PORT")}
    environment = {"PROMETHEUS_IMAGE": prometheus_image(engine, folder), **ports}
    try:
        run([*compose, "up", "--detach", "--no-build", "focalpoint", "prometheus"], 300, environment)
        service, prometheus = (f"http://127.0.0.1:{port}" for port in ports.values())
        wait_until_ready(service)
        yield Stack(service, prometheus, compose, environment)
    finally:
        run([*compose, "down", "--volumes"], 120, environment)


def prometheus_image(engine: str, folder: Path) -> str:
    """The image named by PROMETHEUS_IMAGE, or one that holds the Prometheus of this machine."""
    if named := os.environ.get("PROMETHEUS_IMAGE"):
        return named
    shutil.copy(program("prometheus"), folder / "prometheus")
    shutil.copy(Path(__file__).parent / "prometheus.Dockerfile", folder / "Dockerfile")
    special = ["--layers=false"] if engine == "podman" else []
    run([engine, "build", *special, "--tag", "focalpoint-check-prometheus:local", str(folder)], 600)
    return "focalpoint-check-prometheus:local" if engine == "docker" else "localhost/focalpoint-check-prometheus:local"


def mixed_messages(url: str) -> list[bytes]:
    """Pictures, one that is none, and some that are wanted too soon: so that there is something of everything."""
    good = keypoints_message(url, picture())
    late = [good.replace(b"Content-Length:", b"X-Deadline-Ms: %d\r\nContent-Length:" % ms, 1) for ms in DEADLINES_MS]
    return [good, good, good, keypoints_message(url, b"no picture"), *late]


def ask(prometheus: str, query: str) -> list[Any]:
    """The samples of an instant query that are numbers."""
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": query}, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    return [sample for sample in answer.json()["data"]["result"] if sample["value"][1] != "NaN"]


@pytest.mark.usefixtures("cpu_image")
def test_every_query_of_the_dashboard_has_data_under_load(engine: str, tmp_path: Path) -> None:
    with up(engine, tmp_path) as stack:
        found: dict[str, int] = {}
        asked = queries()
        give_up = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < give_up and len(found) < len(asked):
            asyncio.run(closed_loop(stack.service, mixed_messages(stack.service), CONNECTIONS, BURST_SECONDS))
            found |= {name: len(ask(stack.prometheus, asked[name])) for name in asked.keys() - found.keys()}
            found = {name: count for name, count in found.items() if count}
        print(f"\n{len(found)} of {len(asked)} queries have data: {json.dumps(found, indent=1, sort_keys=True)}")  # noqa: T201
        assert asked.keys() - found.keys() == set()
        rules = httpx.get(f"{stack.prometheus}/api/v1/rules", trust_env=False).json()["data"]["groups"]
        assert {rule["health"] for group in rules for rule in group["rules"]} == {"ok"}
        flags = ["load", "--sizes", "640x480", "--concurrency", "2", "--windows", "3"]
        report = run([*stack.compose, "--profile", "load", "run", "--rm", *flags], 120, stack.environment)
        assert re.search(r" 2 connections .* none ", report), report
