"""The benchmark as it is run: each mode against a real server, small."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import benchmark
import cv2
import numpy as np
import pytest
from benchmark_pictures import PORTRAIT_FACE, SIZES, portraits
from benchmark_report import COLUMNS
from ceilings import ceilings_process
from generator_priority import before_all_others
from latency_plot import check_plotting, latency_plot
from own_server import OwnServer, own_server
from run_description import cpu_model
from server_counters import Difference
from stall_test import StallFigures, stall

from service.contract.bundle_manifest import MODEL_FILE, file_sha256
from tests.deploy.programs import REPOSITORY
from tests.fakes import FakeEngine
from tests.service.conftest import running_server

FACE68 = REPOSITORY / "models" / "face68"
BRIEF = ["--sizes", "640x480", "--boxes", "--window", "0.1", "--windows", "2"]


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server(FACE68, ["--intra-op-threads", "1"]) as running:
        yield running


@pytest.fixture(autouse=True)
def _short_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at are the figures' form and that they agree, not how steady they are."""
    monkeypatch.setattr(benchmark, "_WARM_UP_SECONDS", 0.1)


def run_benchmark(url: str, folder: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    file = folder / "figures.json"
    code = benchmark.main(["--url", url, *BRIEF, "--json", str(file), *flags])
    return code, json.loads(file.read_text(encoding="utf-8"))


def test_levels_of_both_kinds(server: OwnServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, plot = tmp_path / "report.md", tmp_path / "plot.png"
    flags = ["--concurrency", "1,2", "--rate", "30", "--arrivals", "poisson", "--half-load"]
    _, result = run_benchmark(server.url, tmp_path, *flags, "--markdown", str(report), "--plot", str(plot))
    levels = result["levels"]
    assert [(one["mode"], one.get("concurrency")) for one in levels] == [
        ("closed", 1),
        ("closed", 2),
        ("open", None),
        ("open", None),
    ]
    for one in levels:
        assert one["disagreements"] == []
        assert one["errors"] == {}
        assert 0 < one["p50_ms"] <= one["p90_ms"] <= one["p99_ms"] <= one["p99.9_ms"] <= one["max_ms"]
        assert one["cpu_ms_per_request"] > 1
    assert levels[3]["rate"] == pytest.approx(max(one["requests_per_second"] for one in levels[:2]) / 2)
    assert levels[2]["arrivals"] == "poisson"

    described = result["run"]
    assert described["model"]["sha256"] == file_sha256(FACE68 / MODEL_FILE)
    assert described["machine"]["cores"] >= 1
    assert described["versions"]["numpy"] == np.__version__
    assert "--half-load" in described["command"]

    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 + len(levels) + 1
    assert "half of the peak: p99 / p50 = " in printed[-1]
    rows = [line for line in report.read_text(encoding="utf-8").splitlines() if line.startswith("| 640x480 ")]
    assert len(rows) == len(levels)
    assert all(row.count("|") == len(COLUMNS) + 1 for row in rows)
    picture = cv2.imdecode(np.frombuffer(plot.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.partial"))


def test_the_plot_shows_its_levels() -> None:
    level = {
        "picture": "a",
        "mode": "closed",
        "concurrency": 1,
        "requests_per_second": 9.0,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
    }
    assert latency_plot([level]) != latency_plot([])


def test_without_matplotlib_it_says_so_before_it_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match=r"--plot: expected matplotlib, found none"):
        check_plotting()


def test_the_search_keeps_below_the_peak(server: OwnServer, tmp_path: Path) -> None:
    flags = ["--concurrency", "2", "--search", "--p99-limit-ms", "2000"]
    _, result = run_benchmark(server.url, tmp_path, *flags)
    (found,) = result["searches"]
    peak = result["levels"][0]["requests_per_second"]
    assert 1 <= len(found["levels"]) <= 6
    assert found["levels"][0]["rate"] == pytest.approx(peak / 2)
    assert 0 <= found["rate"] < peak


def test_counters_that_differ_fail_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server(FakeEngine()) as running:
        flags = ["--concurrency", "2", "--windows", "1"]
        assert run_benchmark(running.url, tmp_path, *flags)[0] == 0
        counted_wrong = Difference(Counter({"200": 1}), 1, None, None, None)
        monkeypatch.setattr(benchmark, "difference", lambda *_: counted_wrong)
        code, result = run_benchmark(running.url, tmp_path, *flags)
    assert code == 1
    said = result["levels"][0]["disagreements"]
    assert [one.rpartition(", ")[2] for one in said] == ["the server counts 1", "the server counts 1"]


def test_errors_fail_the_run(tmp_path: Path) -> None:
    with running_server(FakeEngine(), max_body_bytes=100) as running:
        code, result = run_benchmark(running.url, tmp_path, "--concurrency", "2", "--windows", "1")
    assert code == 1
    (level,) = result["levels"]
    assert level["errors"].keys() == {"413"}
    assert level["invalid"] == "no answer with status 200"


def test_the_pictures_show_a_face_where_their_box_is() -> None:
    face_x, face_y, face_width, face_height = (int(number) for number in PORTRAIT_FACE)
    original = cv2.imread(str(REPOSITORY / "tests" / "pictures" / "astronaut.jpg"))
    assert original is not None
    face = cv2.resize(original[face_y : face_y + face_height, face_x : face_x + face_width], (64, 64))
    for (width, height), picture in zip(SIZES, portraits(SIZES, with_box=True), strict=True):
        pixels = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        assert pixels.shape == (height, width, 3)
        ((x, y, box_width, box_height),) = picture.boxes
        cut = pixels[round(y) : round(y + box_height), round(x) : round(x + box_width)]
        shown = cv2.resize(cut, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(shown.ravel(), face.ravel())[0, 1] > 0.98  # found: 0.995


def test_a_server_that_stands_still_is_seen(server: OwnServer) -> None:
    (picture,) = portraits([(640, 480)], with_box=True)
    found = stall(server, picture.data, picture.query)
    assert found.complaint is None, found.sentence
    assert found.p99_from_due > 10 * found.p99_from_sent


def test_a_stall_that_is_not_seen_is_a_complaint() -> None:
    assert StallFigures(30, 2000, 10).complaint == "the server stood still for 2 s, and the p99 is 30 ms"
    assert StallFigures(1990, 2000, 1990).complaint is not None
    assert StallFigures(1990, 2000, 10).complaint is None


def test_the_ceilings_are_measured_in_a_process_of_their_own() -> None:
    pictures = portraits([(640, 480)], with_box=False)
    arrangement = {"threads": 2, "group": 2, "intra_op_threads": 1}
    with ceilings_process(FACE68, pictures) as ceilings:
        measured = ceilings.ask(do="throughput", seconds=0.2, **arrangement)
        assert measured["per_second"] > 1
        assert measured["cpu_ms"] > 1
        assert ceilings.ask(do="latency", seconds=0.1, **arrangement)["p50_ms"] > 1
        assert ceilings.ask(do="crops", seconds=0.1, batch=3, threads=1, intra_op_threads=1)["per_second"] > 1


def test_the_processor_has_a_name(tmp_path: Path) -> None:
    information = tmp_path / "cpuinfo"
    information.write_text("processor : 0\nmodel name\t: Some CPU @ 2 GHz\n", encoding="utf-8")
    assert cpu_model(information) == "Some CPU @ 2 GHz"


def test_the_generator_gives_its_priority_back() -> None:
    before = os.sched_getscheduler(0)
    with before_all_others() as given:
        assert (os.sched_getscheduler(0) == os.SCHED_RR) == given
    assert os.sched_getscheduler(0) == before
