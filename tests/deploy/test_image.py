"""The images are built from the Dockerfile, and the service in them does what the README says, without any rights."""

import asyncio
import json
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

from benchmark_pictures import portraits
from load_generator import Load, closed_loop, keypoints_message

from service import __version__
from service.paths import KEYPOINTS_PATH
from tests.deploy.containers import base_image, build, picture, running, size_megabytes
from tests.deploy.programs import REPOSITORY, run

MAX_ADDED_MEGABYTES = 450  # 363 were measured for the cpu target
CONNECTIONS, LOAD_SECONDS = 8, 6.0
JPEG = {"Content-Type": "image/jpeg"}
# Nobody listens any more; or the socket was closed over a connection whose request had not been read yet.
NOT_TAKEN = {"ConnectionRefusedError", "ConnectionResetError"}


def test_the_cpu_image_is_small_and_says_what_it_is(engine: str, cpu_image: str) -> None:
    if engine == "docker":
        run([engine, "pull", base_image()], 600)
    total, base = size_megabytes(engine, cpu_image), size_megabytes(engine, base_image())
    print(f"\nfocalpoint:cpu {total:.0f} MB, of which {total - base:.0f} are not its base's")  # noqa: T201
    assert total - base < MAX_ADDED_MEGABYTES
    (image,) = json.loads(run([engine, "image", "inspect", cpu_image]))
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Entrypoint"] == ["focalpoint"]
    assert config["Cmd"] == ["serve"]
    assert "ORT_DISABLE_TELEMETRY=1" in config["Env"]


def test_the_cpu_image_serves_on_a_read_only_root_without_rights(engine: str, cpu_image: str) -> None:
    with running(engine, cpu_image) as container:
        with container.client() as client:
            answer = client.post("/v1/keypoints", content=picture(), headers=JPEG)
        assert answer.status_code == 200
        assert len(answer.json()["instances"][0]["keypoints"]) == 68
        assert container.execute("id", "-u").stdout.strip() == "10001"
        assert "CapEff:\t0000000000000000" in container.execute("cat", "/proc/self/status").stdout
        assert container.execute("touch", "/app/file").returncode != 0
        for absent in ("gcc", "cc", "curl"):
            assert container.execute("which", absent).returncode != 0, absent
        for absent in ("torch", "pip", "setuptools"):
            assert container.execute("/opt/focalpoint/bin/python", "-c", f"import {absent}").returncode != 0, absent


def test_the_health_check_says_yes_while_it_serves_and_no_otherwise(engine: str, cpu_image: str) -> None:
    with running(engine, cpu_image) as container:
        (image,) = json.loads(run([engine, "image", "inspect", cpu_image]))
        check = (image.get("Healthcheck") or image["Config"]["Healthcheck"])["Test"]
        assert check[0] == "CMD"
        assert container.execute(*check[1:]).returncode == 0
        nobody = container.execute("env", "FOCALPOINT_PORT=1", *check[1:])
        assert nobody.returncode == 1
        assert "/livez cannot be asked" in nobody.stderr
        if engine == "podman":
            run([engine, "healthcheck", "run", container.name])


def test_sigterm_under_load_loses_no_answer(engine: str, cpu_image: str) -> None:
    loads: list[Load] = []
    with running(engine, cpu_image, options=("--env", "FOCALPOINT_DRAIN_DELAY_MS=500")) as container:
        message = keypoints_message(container.url, portraits([(640, 480)], with_box=False)[0].data)
        thread = threading.Thread(
            target=lambda: loads.append(asyncio.run(closed_loop(container.url, [message], CONNECTIONS, LOAD_SECONDS)))
        )
        thread.start()
        time.sleep(LOAD_SECONDS / 2)
        container.terminate()
        code = container.exit_code()
        thread.join()
        log = container.log()
    statuses = loads[0].statuses()
    print(f"\nSIGTERM at {CONNECTIONS} connections: {dict(statuses)}, exit code {code}")  # noqa: T201
    assert code == 0
    assert statuses[200] > CONNECTIONS
    assert set(statuses) <= {200} | NOT_TAKEN
    assert statuses["ConnectionResetError"] <= CONNECTIONS
    # Whatever the server took, it answered, and the answer arrived.
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert Counter(line["code"] for line in lines if line.get("route") == KEYPOINTS_PATH) == {200: statuses[200]}
    assert "every accepted request is answered" in log


def test_an_image_without_a_model_serves_one_by_volume(engine: str, tmp_path: Path) -> None:
    image = build(engine, "cpu", "focalpoint-check:no-model", MODEL="")
    other = tmp_path / "other"
    shutil.copytree(REPOSITORY / "models" / "face68", other)
    for path in (tmp_path, other, *other.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with running(engine, image, ready=False) as container:
        assert container.exit_code() == 1
        assert "models/face68" in container.log()
    options = ("--volume", f"{other}:/app/models/other:ro")
    with running(engine, image, "serve", "models/other", options=options) as container:
        assert container.execute("ls", "/app/models").stdout.split() == ["other"]
        with container.client() as client:
            assert client.post("/v1/keypoints", content=picture(), headers=JPEG).status_code == 200


def test_the_gpu_image_as_far_as_its_base_allows(engine: str) -> None:
    """On the base of the cpu target: onnxruntime-gpu serves on the CPU, and says no to CUDA."""
    image = build(engine, "gpu", "focalpoint:gpu", CUDA_BASE_IMAGE=base_image())
    print(f"\nfocalpoint:gpu on a base without CUDA {size_megabytes(engine, image):.0f} MB")  # noqa: T201
    with running(engine, image, options=("--env", "FOCALPOINT_PROVIDER=cpu")) as container:
        with container.client() as client:
            answer = client.post("/v1/keypoints", content=picture(), headers=JPEG)
        assert answer.status_code == 200
        code = "import importlib.metadata as m; print(m.version('onnxruntime-gpu'))"
        assert container.execute("/opt/focalpoint/bin/python", "-c", code).returncode == 0
    with running(engine, image, ready=False) as container:
        assert container.exit_code() == 1
        assert "focalpoint: --provider cuda: onnxruntime fell back to CPUExecutionProvider" in container.log()
