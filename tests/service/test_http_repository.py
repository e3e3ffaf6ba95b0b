"""Many models behind one address: which one answers, and how they come and go while it is asked."""

import base64
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from service.api_keys import new_key
from service.app import create_app
from service.settings import Settings
from tests.fakes import draw_discs, encode
from tests.service.conftest import RunningServer, running_repository, unloadable
from tests.service.repositories import SECONDS, VersionEngine, admin_of, save_manifest
from tests.service.test_engine_failures import wait_until
from tests.service.test_http_problems import PNG, check_problem
from tests.service.test_pipeline import batcher_threads

PICTURE = encode(draw_discs())


def ask(client: httpx.Client, **query: str) -> httpx.Response:
    return client.post("/v1/keypoints", content=PICTURE, headers=PNG, params={"boxes": "35,25,71,71", **query})


def version_of(answer: httpx.Response) -> tuple[str, str]:
    """Name and version by the headers, after a look whether body and scores say the same."""
    assert answer.status_code == 200, answer.text
    name, version = answer.headers["x-model-name"], answer.headers["x-model-version"]
    body = answer.json()
    assert body["model"] == {"name": name, "version": version}
    assert body["instances"][0]["score"] == float(version.partition(".")[0]) / 1000
    return name, version


def served(running: RunningServer) -> list[tuple[str, str]]:
    models = running.client.get("/v1/models").json()["models"]
    return [(model["name"], model["version"]) for model in models]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`cat` in two versions, one of them a candidate for a release, and `dog`."""
    save_manifest(tmp_path / "models" / "cat" / "9.0.0", "cat", "9.0.0")
    save_manifest(tmp_path / "models" / "cat" / "10.0.0-rc.1", "cat", "10.0.0-rc.1")
    save_manifest(tmp_path / "models" / "dog", "dog", "3.0.0")
    return tmp_path / "models"


@pytest.fixture
def running(root: Path) -> Iterator[RunningServer]:
    """All of them, without a default; its client may change them."""
    with admin_of(root, VersionEngine) as running:
        yield running


def test_model_and_version_choose(running: RunningServer) -> None:
    assert served(running) == [("cat", "9.0.0"), ("cat", "10.0.0-rc.1"), ("dog", "3.0.0")]
    assert version_of(ask(running.client, model="dog")) == ("dog", "3.0.0")
    assert version_of(ask(running.client, model="cat")) == ("cat", "10.0.0-rc.1")
    assert version_of(ask(running.client, model="cat", version="9.0.0")) == ("cat", "9.0.0")
    form = running.client.post(
        "/v1/keypoints", files={"file": PICTURE}, data={"boxes": "[[35,25,71,71]]", "model": "cat", "version": "9.0.0"}
    )
    as_json = {"image": base64.b64encode(PICTURE).decode(), "boxes": [[35, 25, 71, 71]]}
    assert version_of(form) == ("cat", "9.0.0")
    assert version_of(running.client.post("/v1/keypoints", json={**as_json, "model": "dog"})) == ("dog", "3.0.0")
    batch = running.client.post("/v1/keypoints:batch", json={"images": [as_json] * 2, "model": "dog"})
    assert [result["model"]["name"] for result in batch.json()["results"]] == ["dog", "dog"]
    assert batch.headers["x-model-name"] == "dog"


def test_what_is_not_there_is_told_with_what_is(running: RunningServer) -> None:
    check_problem(ask(running.client, model="cow"), "not-found", "'cow'", "'cat', 'dog'")
    check_problem(ask(running.client, model="cat", version="1"), "not-found", "'1' of 'cat'", "9.0.0, 10.0.0-rc.1")
    check_problem(ask(running.client), "invalid-parameter", "one of cat, dog")
    assert "x-model-name" not in ask(running.client).headers
    check_problem(running.client.get("/v1/models/cow"), "not-found", "'cat', 'dog'")
    cat = running.client.get("/v1/models/cat", params={"version": "9.0.0"}).json()
    assert (cat["version"], cat["versions"]) == ("9.0.0", ["9.0.0", "10.0.0-rc.1"])
    assert running.client.get("/readyz").status_code == 200


def test_the_default_answers_who_names_no_model(root: Path) -> None:
    (root / "dog" / "MODEL_CARD.md").write_text("# A dog's points", encoding="utf-8")
    with running_repository(root, VersionEngine, default_model="dog") as running:
        assert version_of(ask(running.client)) == ("dog", "3.0.0")
        assert running.client.get("/v1/models/dog").json()["card"] == "# A dog's points"


def test_replacing_a_model_under_load(tmp_path: Path) -> None:
    folder = save_manifest(tmp_path / "models" / "cat", "cat", "1.0.0")
    last = 12
    with admin_of(folder.parent, VersionEngine) as running, ThreadPoolExecutor(4) as pool:
        stop = threading.Event()

        def go_on_asking() -> list[int]:
            versions = []
            with httpx.Client(base_url=running.url, headers=running.client.headers, trust_env=False) as client:
                while not stop.is_set():
                    versions.append(int(version_of(ask(client))[1].partition(".")[0]))
            return versions

        asking = [pool.submit(go_on_asking) for _ in range(4)]
        for version in range(2, last + 1):
            save_manifest(folder, "cat", f"{version}.0.0")
            changed = running.client.post("/v1/repository/cat/load")
            assert changed.status_code == 200, changed.text
            assert version_of(ask(running.client)) == ("cat", f"{version}.0.0")
        stop.set()
        seen = [client.result(SECONDS) for client in asking]
    for versions in seen:
        assert versions == sorted(versions)  # nobody went back
    assert len({version for versions in seen for version in versions}) >= last - 2


def test_what_was_replaced_is_gone(tmp_path: Path) -> None:
    folder = save_manifest(tmp_path / "models" / "cat", "cat", "1.0.0")
    engines: list[weakref.ref[VersionEngine]] = []

    def load(of: Path) -> VersionEngine:
        engine = VersionEngine(of)
        engines.append(weakref.ref(engine))
        return engine

    with admin_of(folder.parent, load) as running:
        version_of(ask(running.client))
        threads = batcher_threads()
        for _ in range(20):
            assert running.client.post("/v1/repository/cat/load").status_code == 200
            version_of(ask(running.client))
        wait_until(lambda: sum(engine() is not None for engine in engines) == 1)
        assert len(engines) == 21
        wait_until(lambda: batcher_threads() == threads)


def test_who_uses_a_model_that_is_replaced_gets_its_answer(tmp_path: Path) -> None:
    folder = save_manifest(tmp_path / "models" / "cat", "cat", "1.0.0")
    entered, go_on = threading.Event(), threading.Event()

    def hold(_: NDArray[np.uint8]) -> None:
        entered.set()
        assert go_on.wait(SECONDS)

    def load(of: Path) -> VersionEngine:
        engine = VersionEngine(of)
        return engine if engine.manifest.version != "1.0.0" else VersionEngine(of, before_run=hold)

    with admin_of(folder.parent, load) as running, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, running.client)
        assert entered.wait(SECONDS)
        save_manifest(folder, "cat", "2.0.0")
        changed = running.client.post("/v1/repository/cat/load").json()
        assert [one["version"] for one in changed["loaded"]] == ["2.0.0"]
        assert [one["version"] for one in changed["unloaded"]] == ["1.0.0"]
        assert version_of(ask(running.client)) == ("cat", "2.0.0")
        assert not waiting.done()
        go_on.set()
        assert version_of(waiting.result(SECONDS)) == ("cat", "1.0.0")


def test_nobody_waits_for_a_model_that_loads(tmp_path: Path) -> None:
    folder = save_manifest(tmp_path / "models" / "cat", "cat", "1.0.0")
    loading, go_on = threading.Event(), threading.Event()

    def load(of: Path) -> VersionEngine:
        engine = VersionEngine(of)
        if engine.manifest.version == "2.0.0":
            loading.set()
            assert go_on.wait(SECONDS)
        return engine

    with admin_of(folder.parent, load) as running, ThreadPoolExecutor(1) as pool:
        save_manifest(folder, "cat", "2.0.0")
        changing = pool.submit(running.client.post, "/v1/repository/cat/load")
        assert loading.wait(SECONDS)
        assert version_of(ask(running.client)) == ("cat", "1.0.0")
        go_on.set()
        assert changing.result(SECONDS).status_code == 200
        assert version_of(ask(running.client)) == ("cat", "2.0.0")


def test_a_bundle_that_changes_while_it_loads_is_refused(tmp_path: Path) -> None:
    folder = save_manifest(tmp_path / "models" / "cat", "cat", "1.0.0")

    def load(of: Path) -> VersionEngine:
        engine = VersionEngine(of)
        return engine if engine.manifest.version == "1.0.0" else VersionEngine(save_manifest(of, "cat", "3.0.0"))

    with admin_of(folder.parent, load) as running:
        save_manifest(folder, "cat", "2.0.0")
        check_problem(running.client.post("/v1/repository/cat/load"), "unusable-bundle", "changed while it was loaded")
        assert version_of(ask(running.client)) == ("cat", "1.0.0")


def test_load_and_unload(running: RunningServer, root: Path) -> None:
    assert running.client.post("/v1/repository/cat/unload", params={"version": "10.0.0-rc.1"}).status_code == 200
    assert version_of(ask(running.client, model="cat")) == ("cat", "9.0.0")
    listing = running.client.get("/v1/repository").json()
    assert [(one["name"], one["version"], one["fault"]) for one in listing["not_served"]] == [
        ("cat", "10.0.0-rc.1", "")
    ]
    assert {one["condition"] for one in listing["served"]} == {"working"}
    assert running.client.post("/v1/repository/cat/unload").status_code == 200
    check_problem(ask(running.client, model="cat"), "not-found", "'dog'")
    assert version_of(ask(running.client)) == ("dog", "3.0.0")  # the only one that is left
    assert running.client.get("/v1/repository").json()["served"][0]["answers_by_default"] is True
    check_problem(running.client.post("/v1/repository/cat/unload"), "not-found", "'cat'")
    check_problem(running.client.post("/v1/repository/dog/unload"), "conflict", "dog stays")
    check_problem(running.client.post("/v1/repository/cow/load"), "not-found", "'cow'", "dog 3.0.0")
    assert running.client.post("/v1/repository/cat/load", params={"version": "9.0.0"}).status_code == 200
    assert served(running) == [("cat", "9.0.0"), ("dog", "3.0.0")]
    assert running.client.post("/v1/repository/cat/load").json()["loaded"][0]["version"] == "10.0.0-rc.1"


def test_the_default_stays(root: Path) -> None:
    with admin_of(root, VersionEngine, default_model="dog") as running:
        check_problem(running.client.post("/v1/repository/dog/unload"), "conflict", "dog stays")
        save_manifest(root / "dog", "hound", "4.0.0")
        refused = running.client.post("/v1/repository/dog/load")
        check_problem(refused, "unusable-bundle", "expected the name dog", "found hound")
        assert version_of(ask(running.client)) == ("dog", "3.0.0")


def test_rescan_serves_what_lies_there(running: RunningServer, root: Path) -> None:
    save_manifest(root / "dog", "dog", "4.0.0")
    save_manifest(root / "cow" / "1.0.0", "cow", "1.0.0")
    (root / "cat" / "9.0.0" / "manifest.json").unlink()
    (root / "cat" / "10.0.0-rc.1" / "manifest.json").write_text("{", encoding="utf-8")
    report = running.client.post("/v1/repository:rescan").json()
    assert {(one["name"], one["version"]) for one in report["loaded"]} == {("dog", "4.0.0"), ("cow", "1.0.0")}
    assert {(one["name"], one["version"]) for one in report["unloaded"]} == {("dog", "3.0.0"), ("cat", "9.0.0")}
    [refused] = report["refused"]
    assert (refused["name"], refused["version"]) == ("cat", "10.0.0-rc.1")
    assert "Invalid JSON" in refused["why"]
    assert served(running) == [("cat", "10.0.0-rc.1"), ("cow", "1.0.0"), ("dog", "4.0.0")]
    again = running.client.post("/v1/repository:rescan").json()
    assert (again["loaded"], again["unloaded"], len(again["refused"])) == ([], [], 1)
    root.rename(root.parent / "elsewhere")  # as when a volume is not there
    check_problem(running.client.post("/v1/repository:rescan"), "unusable-bundle", "cannot be read")
    assert len(served(running)) == 3


def test_metrics_follow_the_models(running: RunningServer) -> None:
    def info() -> set[str]:
        lines = running.metrics().splitlines()
        return {line.partition("{")[2].partition(",")[0] for line in lines if line.startswith("focalpoint_model_info{")}

    assert info() == {'model="cat"', 'model="dog"'}
    ask(running.client, model="cat", version="9.0.0")
    ask(running.client, model="cat")
    ask(running.client, model="dog")
    assert 'focalpoint_crops_total{model="cat"} 2.0' in running.metrics()
    assert 'focalpoint_keypoint_score_count{model="dog"} 3.0' in running.metrics()
    assert running.client.post("/v1/repository/cat/unload").status_code == 200
    assert info() == {'model="dog"'}
    assert 'focalpoint_crops_total{model="cat"} 2.0' in running.metrics()  # what has been counted stays


@pytest.mark.parametrize(("default", "ready"), [("dog", 200), ("cat", 503), (None, 503)])
def test_ready_is_what_answers_by_default(root: Path, default: str | None, ready: int) -> None:
    failing: list[bool] = []

    def fail(_: NDArray[np.uint8]) -> None:
        if failing:
            raise MemoryError

    def load(folder: Path) -> VersionEngine:
        engine = VersionEngine(folder)
        return VersionEngine(folder, before_run=fail) if engine.manifest.name == "cat" else engine

    with running_repository(root, load, default_model=default) as running:
        failing.append(True)
        for _ in range(3):
            assert ask(running.client, model="cat").status_code == 500
        wait_until(lambda: running.client.get("/readyz").status_code == ready)
        assert running.client.get("/livez").status_code == 200
        assert version_of(ask(running.client, model="dog")) == ("dog", "3.0.0")


CHANGES = [
    ("GET", "/v1/repository"), ("POST", "/v1/repository/cat/load"), ("POST", "/v1/repository/cat/unload"),
    ("POST", "/v1/repository:rescan"),
]  # fmt: skip


def test_who_may_change_the_models(root: Path, tmp_path: Path) -> None:
    (client, client_hash), (operator, operator_hash) = new_key(), new_key()
    keys = tmp_path / "keys.toml"
    entries = [
        f'[[key]]\nname = "client"\nsha256 = "{client_hash}"',
        f'[[key]]\nname = "operator"\nsha256 = "{operator_hash}"\nadmin = true',
    ]
    keys.write_text("\n".join(entries), encoding="utf-8")
    with running_repository(root, VersionEngine, api_keys=keys) as running:
        for method, path in CHANGES:
            check_problem(running.client.request(method, path), "unauthorized")
            refused = running.client.request(method, path, headers={"Authorization": f"Bearer {client}"})
            check_problem(refused, "forbidden", "API key client has no `admin = true`")
            allowed = running.client.request(method, path, headers={"Authorization": f"Bearer {operator}"})
            assert allowed.status_code == 200
    with running_repository(root, VersionEngine) as running:
        for method, path in CHANGES:
            assert running.client.request(method, path).status_code == 404


def test_the_admin_port_has_the_repository_and_the_other_has_not() -> None:
    app = create_app(Settings(admin_port=0), [], unloadable)
    paths = {path for path in app.state.admin.openapi()["paths"] if path.startswith("/v1/repository")}
    assert len(paths) == len(CHANGES)
    assert not {path for path in app.openapi()["paths"] if path.startswith("/v1/repository")}
