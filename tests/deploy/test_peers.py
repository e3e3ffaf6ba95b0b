"""The comparison with other servers: what they are given to do, and what is made of the figures."""

import json
import re
import subprocess
import sys
from pathlib import Path

import bench_peers
import numpy as np
import pytest
from benchmark_pictures import PORTRAIT, portraits
from peers import environments, process_tree, rounds
from peers.catalogue import PEERS, Configuration
from peers.environments import ROOT, NotInstalledError, requirements_of
from peers.keypoint_work import KeypointWork
from peers.messages import form, raw, request_of, tensor
from peers.report import Compared, Missing, Round, as_json, markdown, ratios
from peers.rounds import Figures
from peers.servers import FailedError, check_same

from service.onnx_engine import OnnxEngine
from tests.service.conftest import running_server

FACE68 = ROOT / "models" / "face68"


def test_the_shared_work_answers_as_the_service_in_a_batch_too() -> None:
    pictures = [(ROOT / PORTRAIT).read_bytes(), portraits([(640, 480)], with_box=False)[0].data]
    with running_server(OnnxEngine(FACE68, "cpu", 1)) as running:
        jpeg = {"content-type": "image/jpeg"}
        expected = [running.client.post("/v1/keypoints", content=one, headers=jpeg).json() for one in pictures]
    assert expected[0] != expected[1]
    found = KeypointWork(FACE68, 1).answers(pictures)
    for one, other in zip(found, expected, strict=True):
        [mine], [theirs] = one.pop("instances"), other.pop("instances")
        assert one == other
        assert mine.keys() == theirs.keys()
        assert mine["box"] == pytest.approx(theirs["box"], abs=0.002)  # measured: the same
        assert mine["score"] == pytest.approx(theirs["score"], abs=2e-4)  # measured: the same
        assert [point["name"] for point in mine["keypoints"]] == [point["name"] for point in theirs["keypoints"]]
        for axis, tolerance in (("x", 0.002), ("y", 0.002), ("score", 2e-4)):  # measured: the same
            numbers = [[point[axis] for point in answer["keypoints"]] for answer in (mine, theirs)]
            assert numbers[0] == pytest.approx(numbers[1], abs=tolerance)


def test_points_that_are_not_the_services_are_refused() -> None:
    expected = np.arange(8.0).reshape(4, 2)
    check_same(expected, expected + 0.009)
    with pytest.raises(FailedError, match=r"0\.011 px away"):
        check_same(expected, expected + 0.011)
    with pytest.raises(FailedError, match=r"expected points \(4, 2\), found \(3, 2\)"):
        check_same(expected, expected[:3])


def test_every_peer_is_asked_for_the_same_picture_in_its_own_way() -> None:
    url, jpeg = "http://127.0.0.1:8123", b"\xff\xd8a picture\xff\xd9"
    for asking in (raw("/keypoints"), form("/keypoints", "file"), tensor("/infer")):
        head, _, body = request_of(asking, url, jpeg).partition(b"\r\n\r\n")
        assert head.startswith(f"POST {asking.path} HTTP/1.1\r\nHost: 127.0.0.1:8123\r\n".encode())
        assert f"Content-Length: {len(body)}".encode() in head
    native = {"instances": [{"keypoints": [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]}]}
    tensors = {"outputs": [{"name": "boxes"}, {"name": "keypoints", "shape": [1, 2, 2], "data": [1.0, 2.0, 3.0, 4.0]}]}
    for asking, answer in ((raw("/"), native), (form("/", "f", listed=True), [native]), (tensor("/"), tensors)):
        assert asking.points(answer).tolist() == [[1, 2], [3, 4]]


def test_the_careful_fastapi_answers_as_the_service_and_is_measured_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_WARM_SECONDS", 0.05)
    options = [
        "--peers",
        "careful_fastapi",
        "--rounds",
        "1",
        "--seconds",
        "0.2",
        "--levels",
        "2",
        "--serve=--workers 2",
        "--output",
        str(tmp_path),
    ]
    assert bench_peers.main(options) == 0
    found = json.loads((tmp_path / "peers.json").read_text(encoding="utf-8"))
    assert not found["missing"]
    assert "'--serve=--workers 2'" in found["conditions"]["command"]
    [careful] = found["compared"]
    [only] = careful["rounds"]
    assert only["rate"] == pytest.approx(0.6 * only["peer_peak"]["requests_per_second"])
    for figures in (only["peer_peak"], only["service_peak"], only["peer_loaded"], only["service_loaded"]):
        assert figures["errors"] == 0
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]
        assert 1 < figures["cpu_ms_per_request"] < 1000
        assert 20 < figures["memory_mb"] < 2000
    assert "| careful FastAPI" in (tmp_path / "peers.md").read_text(encoding="utf-8")


def _figures(rate: float, cpu: float, p99: float, errors: int = 0) -> Figures:
    return Figures(rate, cpu, p99 / 2, p99, 100.0, errors, 0.1)


def _compared() -> Compared:
    measured = [
        Round(_figures(100, 12, 50), _figures(200, 6, 30), 60, _figures(60, 12, 40), _figures(60, 6, 10)),
        Round(_figures(100, 10, 50, 3), _figures(250, 5, 30), 60, _figures(60, 12, 20), _figures(60, 6, 10)),
        # The machine was half as fast: for both.
        Round(_figures(50, 24, 50), _figures(110, 12, 30), 30, _figures(30, 24, 30), _figures(30, 12, 20)),
    ]
    return Compared("other", "Other", "other 1.2", "workers 2", "no limits", 16, measured)


def test_ratios_are_those_within_a_round() -> None:
    found = ratios(_compared())
    assert found.throughput == pytest.approx(2.2)  # of 2, 2.5 and 2.2
    assert found.cpu == pytest.approx(2.0)  # of 2, 2 and 2
    assert found.p99 == pytest.approx(2.0)  # of 4, 2 and 1.5


def test_the_table_has_medians_and_ratios_and_says_what_is_missing() -> None:
    absent = [Missing("gone", "Gone", "It cannot be installed: no such package")]
    text = markdown({"date": "2026-11-21"}, [_compared()], absent)
    row = next(line for line in text.splitlines() if line.startswith("| Other (other 1.2)"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == [
        "100",
        "200",
        "**2.20**",
        "12.0",
        "6.0",
        "**2.00**",
        "60",
        "30",
        "10",
        "**2.00**",
        "100",
        "100",
    ]
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
    assert "- Gone: not measured. It cannot be installed: no such package" in text
    assert "Requests that failed: Other 3." in text
    assert "- Other: workers 2; peak at 16 connections. no limits." in text
    assert as_json({}, [_compared()], absent)["compared"][0]["rounds"][1]["peer_peak"]["errors"] == 3


def test_a_peer_that_cannot_be_installed_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("not a requirement\n", encoding="utf-8")
    monkeypatch.setattr(environments, "requirements_of", lambda _: tmp_path / "requirements.txt")
    monkeypatch.setattr(environments, "RUNS", tmp_path)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(NotInstalledError, match="/no/such/python"):
        environments.install("litserve")
    found, missing = bench_peers._interpreters(["litserve", "careful_fastapi"])
    assert list(found) == ["careful_fastapi"]
    assert [one.name for one in missing] == ["litserve"]
    assert "LitServe cannot be installed here" in capsys.readouterr().out


def test_requirements_are_pinned_and_configurations_differ() -> None:
    for name, peer in PEERS.items():
        assert len(set(peer.configurations)) == len(peer.configurations) > 1
        if not peer.own_environment:
            continue
        lines = requirements_of(name).read_text(encoding="utf-8").splitlines()
        pins = [line for line in lines if not line.startswith("#")]
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin) for pin in pins)
        assert any(pin.startswith(f"{peer.package}==") for pin in pins)
    assert str(Configuration()) == "one of each"
    assert str(Configuration(workers=2, max_batch=4)) == "workers 2, max batch 4"


def test_time_and_memory_are_those_of_all_processes_and_all_are_ended() -> None:
    # A shell whose child spins: the shell itself takes next to nothing.
    spin = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.2: pass\nprint(1, flush=True)"
    rest = "import sys; print(2, flush=True); sys.stdin.read()"
    script = f"'{sys.executable}' -c '{spin}'; '{sys.executable}' -c '{rest}'"
    mark = "test-of-the-process-tree"
    environment = {process_tree.MARK: mark}
    with subprocess.Popen(
        ["sh", "-c", script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"1\n", b"2\n"]  # the first has ended
        assert 0.2 <= process_tree.cpu_seconds(mark) < 2
        assert process_tree.memory_bytes(mark) > 1_000_000
        process_tree.end_processes(mark)
        assert process_tree.marked_processes(mark) == []
