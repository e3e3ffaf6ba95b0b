"""Every peer: how it is started and asked, and the configurations that are tried, the best one first."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from peers.messages import Asking, form, raw, tensor


class Configuration(NamedTuple):
    """What a peer is started with; what it has no use for stays as it is.

    Attributes:
        workers: processes that run the model; in the careful FastAPI threads of each process that do.
        fronts: processes that speak HTTP, where these are others; all processes of the careful FastAPI.
        threads: batches at a time in one worker.
        intra_op_threads: of one forward pass.
        max_batch: pictures in one forward pass.
        batch_wait_ms: how long a batch may wait to be filled.
        variant: a way of the peer's own.
    """

    workers: int = 1
    fronts: int = 1
    threads: int = 1
    intra_op_threads: int = 1
    max_batch: int = 1
    batch_wait_ms: float = 0.0
    variant: str = ""

    def __str__(self) -> str:
        """What differs from the defaults, in words."""
        said = [
            f"{name.replace('_', ' ')} {value}"
            for name, value in self._asdict().items()
            if value != self._field_defaults[name]
        ]
        return ", ".join(said) or "one of each"


class Start(NamedTuple):
    """A peer's environment, where it may write, and where it shall listen."""

    python: Path
    scratch: Path
    port: int
    configuration: Configuration


class Peer(NamedTuple):
    """A way to serve the bundle.

    Attributes:
        title: for people.
        package: whose version is told.
        own_environment: whether it needs one of its own, of its folder's requirements.txt; else it is the project's.
        command: what starts it, after it has written the settings it wants.
        asking: by configuration.
        configurations: the first is measured; the others are those that a sweep compares it with.
        environment: variables that it is started with.
        differs: what it lacks or has beside the service, in one line.
    """

    title: str
    package: str
    own_environment: bool
    command: Callable[[Start], list[str]]
    asking: Callable[[Configuration], Asking]
    configurations: Sequence[Configuration]
    environment: Callable[[Start], dict[str, str]]
    differs: str


def _uvicorn(module: str) -> Callable[[Start], list[str]]:
    def command(start: Start) -> list[str]:
        chosen = start.configuration
        processes = chosen.workers if module == "usual_fastapi" else chosen.fronts
        listen = ["--host", "127.0.0.1", "--port", str(start.port), "--workers", str(processes)]
        quiet = ["--no-access-log", "--log-level", "warning"]
        return [str(start.python), "-m", "uvicorn", f"peers.{module}.server:app", *listen, *quiet]

    return command


def _module(name: str) -> Callable[[Start], list[str]]:
    return lambda start: [str(start.python), "-m", name]


def _bentoml(start: Start) -> list[str]:
    listen = ["--host", "127.0.0.1", "--port", str(start.port)]
    return [str(start.python), "-m", "bentoml", "serve", "peers.bentoml.server:Keypoints", *listen]


def _mlserver(start: Start) -> list[str]:
    chosen = start.configuration
    server = {
        "debug": False,  # no access log
        "host": "127.0.0.1",
        "http_port": start.port,
        "grpc_port": start.port + 1,
        "metrics_port": start.port + 2,
        "parallel_workers": chosen.workers,
        "metrics_dir": str(start.scratch / "metrics"),
        "environments_dir": str(start.scratch / "environments"),
    }
    model = {
        "name": "keypoints",
        "implementation": "peers.mlserver.server.Keypoints",
        "max_batch_size": chosen.max_batch,
        "max_batch_time": chosen.batch_wait_ms / 1000,
    }
    (start.scratch / "settings.json").write_text(json.dumps(server), encoding="utf-8")
    (start.scratch / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    return [str(start.python.parent / "mlserver"), "start", str(start.scratch)]


def _asking_bentoml(configuration: Configuration) -> Asking:
    return form("/batched", "images", listed=True) if configuration.variant == "batched" else raw("/keypoints")


def _nothing(_: Start) -> dict[str, str]:
    return {}


def _environment_of_ray(start: Start) -> dict[str, str]:
    """Its guide to high throughput names the two variables that end in OPTIMIZED and PROXY."""
    chosen = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(start.scratch)}
    if start.configuration.variant in ("throughput_optimized", "haproxy"):
        chosen["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "1"
    if start.configuration.variant == "haproxy":
        chosen |= {
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_HAPROXY_NBTHREAD": "2",
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(start.scratch / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(start.scratch / "haproxy.sock"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(start.scratch / "haproxy-metrics.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(start.scratch),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(start.scratch / "haproxy-state"),
        }
    return chosen


_RAW = raw("/keypoints")

PEERS: dict[str, Peer] = {
    "careful_fastapi": Peer(
        "careful FastAPI, 40 lines",
        "fastapi",
        False,
        _uvicorn("careful_fastapi"),
        lambda _: _RAW,
        [
            Configuration(workers=2, max_batch=4),
            Configuration(workers=3, max_batch=4),
            Configuration(fronts=2, max_batch=4),
            Configuration(fronts=2),
            Configuration(workers=2, max_batch=8),
            Configuration(workers=2),
            Configuration(intra_op_threads=2, max_batch=8),
            Configuration(workers=2, intra_op_threads=2, max_batch=4),
        ],
        _nothing,
        "no limits, deadlines, checks of the picture, metrics or drain; a thread that fails is gone",
    ),
    "usual_fastapi": Peer(
        "usual FastAPI, `UploadFile`",
        "fastapi",
        False,
        _uvicorn("usual_fastapi"),
        lambda _: form("/keypoints", "file"),
        [
            Configuration(intra_op_threads=2),
            Configuration(workers=2),
            Configuration(),
            Configuration(workers=2, intra_op_threads=2),
        ],
        _nothing,
        "no batching, no limits; every request in flight holds a thread and a decoded picture",
    ),
    "litserve": Peer(
        "LitServe",
        "litserve",
        True,
        _module("peers.litserve.server"),
        lambda _: _RAW,
        [
            Configuration(workers=2, max_batch=4, batch_wait_ms=2, variant="fast_queue"),
            Configuration(workers=2, max_batch=4, batch_wait_ms=2),
            Configuration(workers=2, fronts=2, max_batch=4, batch_wait_ms=2),
            Configuration(workers=2, fronts=2, max_batch=4, batch_wait_ms=2, variant="fast_queue"),
            Configuration(workers=2),
            Configuration(workers=2, max_batch=8, batch_wait_ms=5),
            Configuration(intra_op_threads=2, max_batch=4, batch_wait_ms=2),
        ],
        _nothing,
        "workers in processes of their own, a copy of the model in each; streaming; no limits on pictures",
    ),
    "bentoml": Peer(
        "BentoML",
        "bentoml",
        True,
        _bentoml,
        _asking_bentoml,
        [
            Configuration(workers=2, threads=4),
            Configuration(workers=2, threads=2),
            Configuration(threads=8),
            Configuration(workers=2, threads=2, max_batch=8, variant="batched"),
            Configuration(workers=2, max_batch=8, variant="batched"),
            Configuration(threads=2, max_batch=8, variant="batched"),
        ],
        lambda _: {"BENTOML_DO_NOT_TRACK": "True"},
        "packaging, composition of services, metrics and tracing; pictures go through files; no limits on pictures",
    ),
    "mlserver": Peer(
        "MLServer, custom runtime",
        "mlserver",
        True,
        _mlserver,
        lambda _: tensor("/v2/models/keypoints/infer"),
        [
            Configuration(workers=3, max_batch=8, batch_wait_ms=5),
            Configuration(workers=2, max_batch=8, batch_wait_ms=5),
            Configuration(workers=2, max_batch=4, batch_wait_ms=2),
            Configuration(workers=2),
            Configuration(workers=0, intra_op_threads=2, max_batch=4, batch_wait_ms=2),
        ],
        _nothing,
        "the Open Inference Protocol with gRPC, several models; a picture costs base64 in JSON; no limits on pictures",
    ),
    "rayserve": Peer(
        "Ray Serve",
        "ray",
        True,
        _module("peers.rayserve.server"),
        lambda _: _RAW,
        [
            Configuration(workers=2, max_batch=8, batch_wait_ms=5, variant="haproxy"),
            Configuration(threads=2, max_batch=4, batch_wait_ms=2, variant="haproxy"),
            Configuration(workers=2, max_batch=4, batch_wait_ms=2, variant="haproxy"),
            Configuration(workers=2, threads=2, max_batch=4, variant="throughput_optimized"),
            Configuration(workers=2, max_batch=4, batch_wait_ms=2),
        ],
        _environment_of_ray,
        "clusters and autoscaling, whose processes take memory and time when idle too; no limits on pictures",
    ),
}
