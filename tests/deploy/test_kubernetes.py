"""Every overlay renders, fits the schema of Kubernetes and says what is meant; one is played by podman."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.settings import Settings, variable_of
from tests.deploy.containers import free_port, picture, wait_until_ready
from tests.deploy.programs import REPOSITORY, program, run

FOLDER = REPOSITORY / "deploy" / "kubernetes"
OVERLAYS = sorted(path.parent.name for path in FOLDER.glob("overlays/*/kustomization.yaml"))
KINDS = {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "HorizontalPodAutoscaler"}
JPEG = {"Content-Type": "image/jpeg"}
SCHEMAS = ("1.30", "1.37")  # the oldest that is still in use, and the newest that is known here


def render(overlay: str) -> str:
    """The manifests of an overlay, by kubectl or kustomize; a skip where there is neither."""
    kustomize = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    return run([program(kustomize[0]), kustomize[1], str(FOLDER / "overlays" / overlay)])


def manifests(overlay: str) -> dict[str, dict[str, Any]]:
    """The manifests by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(render(overlay))}


def pod_of(overlay: str) -> dict[str, Any]:
    pod: dict[str, Any] = manifests(overlay)["Deployment"]["spec"]["template"]["spec"]
    return pod


def environment_of(pod: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}


def test_there_is_an_overlay_for_each_image() -> None:
    assert OVERLAYS == ["cpu", "cpu-model-volume", "gpu"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_fits_the_schema(overlay: str, tmp_path: Path) -> None:
    validate = program("kubernetes-validate")
    rendered = tmp_path / f"{overlay}.yaml"
    rendered.write_text(render(overlay), encoding="utf-8")
    for version in SCHEMAS:
        said = run([validate, "--strict", "--kubernetes-version", version, str(rendered)])
        assert said.count("passed") == len(KINDS), said
    assert manifests(overlay).keys() == KINDS


def test_the_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    validate = program("kubernetes-validate")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(render("cpu").replace("readinessProbe", "readynessProbe"), encoding="utf-8")
    with pytest.raises(AssertionError, match="readynessProbe"):
        run([validate, "--strict", str(wrong)])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pod_has_no_rights(overlay: str) -> None:
    pod = pod_of(overlay)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert manifests(overlay)["NetworkPolicy"]["spec"]["egress"] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_of_the_cluster_becomes_a_setting(overlay: str) -> None:
    """The variables that a Service named `focalpoint` puts into pods: FOCALPOINT_PORT is one, with an address in it."""
    pod = pod_of(overlay)
    assert pod["enableServiceLinks"] is False
    assert environment_of(pod).keys() <= {variable_of(name) for name in Settings.model_fields}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_drain_and_ports_fit_each_other(overlay: str) -> None:
    pod = pod_of(overlay)
    (container,) = pod["containers"]
    environment = environment_of(pod)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert str(ports["admin"]) == environment["FOCALPOINT_ADMIN_PORT"]
    assert ports["http"] == Settings.model_fields["port"].default
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "admin"}
    delay_ms, timeout_ms = (int(environment[f"FOCALPOINT_DRAIN_{name}_MS"]) for name in ("DELAY", "TIMEOUT"))
    sleep, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    assert pod["terminationGracePeriodSeconds"] * 1000 > int(seconds) * 1000 + delay_ms + timeout_ms
    # Not ready long enough before the socket closes for the kubelet to have seen it.
    assert (
        delay_ms > 1000 * container["readinessProbe"]["periodSeconds"] * container["readinessProbe"]["failureThreshold"]
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_memory_and_cores_are_bounded_as_the_settings_need(overlay: str) -> None:
    (container,) = pod_of(overlay)["containers"]
    assert container["resources"]["requests"] == container["resources"]["limits"]
    gibibytes = int(container["resources"]["limits"]["memory"].removesuffix("Gi"))
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert gibibytes * 2**30 > 1.5 * (defaults["max_buffered_bytes"] + 4 * defaults["max_pixels_in_memory"])


def test_the_autoscaler_reads_what_the_adapter_makes_of_the_recording_rule() -> None:
    adapter = yaml.safe_load((FOLDER / "autoscaling/prometheus-adapter-values.yaml").read_text(encoding="utf-8"))
    (rule,) = adapter["rules"]["custom"]
    (metric,) = manifests("cpu")["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    assert "focalpoint:queue_wait_over_inference:ratio_rate1m" in rule["seriesQuery"]


def test_a_gpu_is_asked_for_and_models_come_by_volume() -> None:
    assert pod_of("gpu")["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod_of("gpu")["containers"][0]["image"] == "focalpoint:gpu"
    mounts = {mount["name"]: mount for mount in pod_of("cpu-model-volume")["containers"][0]["volumeMounts"]}
    assert mounts["models"] == {"name": "models", "mountPath": "/app/models", "readOnly": True}
    assert {volume["name"] for volume in pod_of("cpu-model-volume")["volumes"]} == {"tmp", "models"}


@contextmanager
def played(overlay: str, folder: Path) -> Iterator[dict[str, str]]:
    """The Deployment of an overlay as a pod of podman; the addresses of its ports by name."""
    podman = program("podman")
    deployment = manifests(overlay)["Deployment"]
    deployment["metadata"]["name"] = "focalpoint-check"
    ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
    for port in ports:
        port |= {"hostPort": free_port(), "hostIP": "127.0.0.1"}
    file = folder / "deployment.yaml"
    file.write_text(yaml.safe_dump(deployment), encoding="utf-8")
    try:
        run([podman, "play", "kube", str(file)])
        yield {port["name"]: f"http://127.0.0.1:{port['hostPort']}" for port in ports}
    finally:
        run([podman, "play", "kube", "--down", str(file)])


def test_an_overlay_played_by_podman_serves_drains_and_ends(engine: str, cpu_image: str, tmp_path: Path) -> None:
    assert cpu_image == "focalpoint:cpu"
    if engine != "podman":
        pytest.skip("podman is not the engine in use")
    with played("cpu", tmp_path) as urls:
        wait_until_ready(urls["admin"])
        answer = httpx.post(
            f"{urls['http']}/v1/keypoints", content=picture(), headers=JPEG, trust_env=False, timeout=30
        )
        assert answer.status_code == 200
        assert httpx.get(f"{urls['http']}/metrics", trust_env=False).status_code == 404
        (name,) = run([engine, "ps", "--filter", "name=focalpoint-check-pod", "--format", "{{.Names}}"]).split()[-1:]
        status = run([engine, "exec", name, "cat", "/proc/self/status"])
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        run([engine, "stop", "--time", "50", name], 60)
        assert run([engine, "inspect", "--format", "{{.State.ExitCode}}", name]).strip() == "0"
