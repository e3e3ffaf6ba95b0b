"""The server's settings: flags and `FOCALPOINT_...` variables of the same name, read once at the entry point."""

import os
import sys
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.batch_sizes import powers_of_two
from service.errors import InvalidSetting
from service.logs import LogFormat

ENV_PREFIX = "FOCALPOINT_"
DEFAULT_BUNDLE = Path("models/face68")

Provider = Literal["cpu", "cuda"]


def _setting(default: Any, description: str, choose: str, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"choose": choose}, **limits)


class Settings(BaseSettings):
    """Every setting of `focalpoint serve`; the descriptions are the help texts of the flags."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_ignore_empty=True)

    model: Path = _setting(
        DEFAULT_BUNDLE,
        "bundle folder, or a folder of bundles",
        "the first argument of `focalpoint serve`, see models.md",
    )
    default_model: str | None = _setting(
        None,
        "name of the model of requests that name none; without it the only one, if there is only one",
        "with several models, the one that clients from before know",
    )
    host: str = _setting(
        "127.0.0.1", "address to listen on", "`0.0.0.0` for every interface; then mind who can reach it"
    )
    port: int = _setting(8000, "port to listen on", "0 picks a free one", ge=0, le=65535)
    admin_port: int | None = _setting(
        None,
        "port of its own for /metrics and the probes; without it they are on the first one",
        "where clients must not see the metrics; it listens on the same address and asks for no API key",
        ge=0,
        le=65535,
    )
    page: bool = _setting(
        True, "serve the page for people at /", "off where only programs ask; the page itself asks for no API key"
    )
    provider: Provider = _setting(
        "cpu", "what the model runs on; start-up fails where it cannot", "`cuda` needs the extra `gpu`"
    )
    cuda_graphs: bool = _setting(
        False,
        "record each batch size as a CUDA graph and replay it; `provider` cuda only",
        "try it where a forward pass takes a few milliseconds; start-up checks the answers, and fails where the model "
        "does not run on the GPU as a whole",
    )
    gpu_memory_bytes: int | None = _setting(
        None,
        "most memory of the GPU for the tensors of one process; without it what there is; `provider` cuda only",
        "where others use the same GPU",
        ge=1,
    )
    workers: int = _setting(
        1,
        "processes that serve side by side; each has the models in memory of its own, batches its own requests, and "
        "has an equal share of the usable cores and of the limits on images, crops, bytes, pixels and connections",
        "one for every one or two cores once requests fill them: one process runs Python on one core at a time; 1 "
        "for a GPU, short memory, or a single client",
        ge=1,
        le=64,
    )
    batches_at_once: int = _setting(
        0,
        "forward passes of one model side by side; 0 takes, on a CPU, as many as fill the usable cores, else 1",
        "1, so that one pass has all cores, for a large model and few requests: fewer per second",
        ge=0,
    )
    intra_op_threads: int = _setting(
        0,
        "threads of one forward pass; 0 takes an equal share of the usable cores, which is 1 unless `batches_at_once` "
        "says otherwise",
        "more for a large model and few requests; `focalpoint tune` measures it",
        ge=0,
    )
    lone_threads: int = _setting(
        0,
        "threads of a forward pass of one crop while there is nothing else to do; 0 takes, on a CPU, one per usable "
        "core, up to four",
        "1 where memory is short: any number above `intra_op_threads` keeps the model in memory a second time; one up "
        "to it changes nothing",
        ge=0,
    )
    decode_threads: int = _setting(
        0,
        "threads that decode and crop, and on a CPU run the model; 0 takes one per usable core",
        "more only with a GPU and idle cores",
        ge=0,
    )
    max_batch: int = _setting(
        16,
        "most crops in one forward pass; the sizes are the powers of two up to it, and it",
        "an upper limit, not a target: larger helps only where a larger batch costs less per crop",
        ge=1,
    )
    max_queue: int = _setting(
        512, "most crops that wait for a forward pass; beyond that 429", "at least `max_boxes`", ge=1
    )
    max_in_flight: int = _setting(
        128,
        "most images that are worked on at a time; beyond that 429",
        "divided by the images per second it is the longest wait under overload; at least `max_images`",
        ge=1,
    )
    max_boxes: int = _setting(64, "most boxes of one image", "the most objects that a picture of yours shows", ge=1)
    max_heatmap_boxes: int = _setting(
        4,
        "most boxes of one image whose heatmaps are asked for",
        "each adds keypoints x rows x columns x 2.7 bytes to the answer",
        ge=1,
    )
    max_images: int = _setting(32, "most images in one request to /v1/keypoints:batch", "as your clients need", ge=1)
    max_body_bytes: int = _setting(
        20 * 2**20, "largest request body", "a 12-megapixel photograph has 3 to 8 million bytes", ge=1
    )
    max_buffered_bytes: int = _setting(
        256 * 2**20, "most bytes of all request bodies together; beyond that 429", "memory for uploads", ge=1
    )
    min_body_bytes_per_second: int = _setting(
        1000, "least pace of a body after its first five seconds; below that 408", "below your slowest client's", ge=1
    )
    max_connections: int = _setting(
        1000, "most open connections; one more is answered 503", "below the limit of open files (`ulimit -n`)", ge=1
    )
    slow_connection_ms: int = _setting(
        10_000,
        "longest time for the headers of a request, and for a client that does not read its answer",
        "longer only for very poor networks",
        ge=1,
    )
    max_pixels: int = _setting(
        50_000_000, "largest image, checked before it is decoded", "3 bytes of memory for each", ge=1
    )
    max_drawn_pixels: int = _setting(
        12_000_000,
        "largest image that is drawn on (`Accept: image/png`)",
        "the answer has up to 3 bytes for each, and takes most of a second for the default",
        ge=1,
    )
    max_pixels_in_memory: int = _setting(
        200_000_000,
        "most pixels of all decoded images together; the next one waits",
        "3 bytes each, and up to 6 more while a thread decodes a progressive or turned one; at least `max_pixels`",
        ge=1,
    )
    allow_tiff: bool = _setting(
        False, "take TIFF images too", "only where needed: one decoder more for strangers' bytes"
    )
    reduced_decoding: bool = _setting(
        True,
        "decode a JPEG at a half, a quarter or an eighth of its size where the crops of its boxes are coarser anyway",
        "off to compare with other software to the last digit",
    )
    deadline_ms: int = _setting(
        30_000,
        "longest time from a request's headers to its answer; beyond that 504; `X-Deadline-Ms` may shorten it",
        "what your clients still wait for",
        ge=1,
    )
    stuck_ms: int = _setting(
        10_000,
        "a forward pass that takes longer is given up: 503 for who waits, /readyz and /livez say no until it is back",
        "ten times your longest batch, and below `deadline_ms`",
        ge=1,
    )
    drain_delay_ms: int = _setting(
        0,
        "after SIGTERM, how long to say 503 on /readyz and still serve",
        "a little more than the period at which your balancer asks /readyz",
        ge=0,
    )
    drain_timeout_ms: int = _setting(
        30_000,
        "then, how long to wait for requests in flight",
        "with `drain_delay_ms` less than the orchestrator's grace period",
        ge=0,
    )
    api_keys: Path | None = _setting(
        None,
        "TOML file of API keys; without it anybody may ask",
        "make one with `focalpoint new-key`, see deployment.md",
    )
    tls_certificate: Path | None = _setting(
        None, "PEM file of the certificate chain", "with `tls_key`; else plain HTTP"
    )
    tls_key: Path | None = _setting(None, "PEM file of the certificate's private key", "with `tls_certificate`")
    log_format: LogFormat = _setting("json", "how to log on standard error", "`text` for people")
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "least level to log", "`info` is a line for each request, `warning` only what is wrong"
    )

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The sizes of a forward pass."""
        return powers_of_two(self.max_batch)

    @model_validator(mode="after")
    def _they_fit_each_other(self) -> Self:
        for larger, smaller in (
            ("max_queue", "max_boxes"),
            ("max_in_flight", "max_images"),
            ("max_pixels_in_memory", "max_pixels"),
            ("max_buffered_bytes", "max_body_bytes"),
        ):
            if getattr(self, larger) < getattr(self, smaller):
                raise ValueError(
                    f"{larger} ({getattr(self, larger)}) is smaller than {smaller} ({getattr(self, smaller)}): "
                    "such a request would never fit"
                )
        if self.workers > 1 and not sys.platform.startswith("linux"):
            raise ValueError(f"workers: expected 1 on any system but Linux, found {self.workers}")
        if self.lone_threads and self.provider != "cpu":
            raise ValueError(f"lone_threads: expected provider cpu with it, found {self.provider}")
        for name in ("cuda_graphs", "gpu_memory_bytes"):
            if getattr(self, name) and self.provider != "cuda":
                raise ValueError(f"{name}: expected provider cuda with it, found {self.provider}")
        if self.cuda_graphs and self.batches_at_once > 1:
            raise ValueError(
                f"batches_at_once: expected 1 with cuda_graphs, one of which is replayed at a time, "
                f"found {self.batches_at_once}"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key: expected both or none, found one")
        return self


def read_settings(settings_file: Path | None = None, **flags: Any) -> Settings:
    """Settings from the flags that were given (not None), then the environment, then a file, then the defaults.

    Args:
        settings_file: `FOCALPOINT_...=` lines, such as `focalpoint tune` writes.
        flags: by the settings' names.

    Raises:
        InvalidSetting: a value is not valid, or the file cannot be read; the sentence names the flag, the variable or
            the file.
    """
    if settings_file is not None and not settings_file.is_file():
        raise InvalidSetting(f"--settings: there is no file {settings_file}")
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(_env_file=settings_file, **given)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise InvalidSetting(first["msg"].removeprefix("Value error, ")) from error
        name = str(first["loc"][0])
        if name not in Settings.model_fields:
            raise InvalidSetting(f"--settings {settings_file}: {name.upper()} is no setting") from error
        source = flag_of(name) if name in given else variable_of(name)
        raise InvalidSetting(f"{source}: {first['msg']}, found {first['input']!r}") from error


def flag_of(name: str) -> str:
    """The flag of a setting: `max_batch` is `--max-batch`."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable of a setting: `max_batch` is `FOCALPOINT_MAX_BATCH`."""
    return ENV_PREFIX + name.upper()


def usable_cores(control_groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores this process may use: its affinity, and a container's quota, which the core count ignores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(control_groups)
    return cores if quota is None else max(1, min(cores, int(quota)))


def _cpu_quota(control_groups: Path) -> float | None:
    """Cores' worth of time that a container may use, as control groups of version 2, or else 1, say; None: no limit."""
    second = control_groups / "cpu.max"
    if second.exists():
        quota, period = second.read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    first = control_groups / "cpu"
    if (first / "cpu.cfs_quota_us").exists():
        quota, period = ((first / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
        return None if int(quota) < 0 else int(quota) / int(period)
    return None
