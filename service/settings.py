"""The server's settings: flags and `FOCALPOINT_...` variables of the same name, read once at the entry point."""

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import InvalidSetting

ENV_PREFIX = "FOCALPOINT_"
DEFAULT_BUNDLE = Path("models/face68")

Provider = Literal["cpu", "cuda"]


class Settings(BaseSettings):
    """Every setting of `focalpoint serve`; the descriptions are the help texts of the flags."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_ignore_empty=True)

    model: Path = Field(DEFAULT_BUNDLE, description="bundle folder of the model")
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for every interface")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    provider: Provider = Field("cpu", description="what the model runs on; start-up fails where it cannot")
    intra_op_threads: int = Field(0, ge=0, description="threads of one forward pass; 0 takes one per usable core")
    decode_threads: int = Field(0, ge=0, description="threads that decode and crop; 0 takes one per usable core")
    max_batch: int = Field(16, ge=1, description="most crops in one forward pass")
    max_queue: int = Field(512, ge=1, description="most crops that wait for a forward pass; beyond that 429")
    max_in_flight: int = Field(128, ge=1, description="most requests at a time; beyond that 429")
    max_boxes: int = Field(64, ge=1, description="most boxes in one request")
    max_body_bytes: int = Field(20 * 2**20, ge=1, description="largest request body")
    max_pixels: int = Field(50_000_000, ge=1, description="largest image, checked before it is decoded")
    deadline_ms: int = Field(10_000, ge=1, description="longest time from the read body to the answer; beyond that 504")
    drain_delay_ms: int = Field(
        0, ge=0, description="after SIGTERM, how long to say 503 on /readyz and still serve, so that balancers see it"
    )
    drain_timeout_ms: int = Field(30_000, ge=0, description="then, how long to wait for requests in flight")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level to log")

    @model_validator(mode="after")
    def _a_request_fits_the_queue(self) -> Self:
        if self.max_queue < self.max_boxes:
            raise ValueError(
                f"max_queue ({self.max_queue}) is smaller than max_boxes ({self.max_boxes}): such a request never fits"
            )
        return self


def read_settings(**flags: Any) -> Settings:
    """Settings from the flags that were given (not None), then the environment, then the defaults.

    Raises:
        InvalidSetting: a value is not valid; the sentence names the flag or the variable.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise InvalidSetting(first["msg"].removeprefix("Value error, ")) from error
        name = str(first["loc"][0])
        source = flag_of(name) if name in given else variable_of(name)
        raise InvalidSetting(f"{source}: {first['msg']}, found {first['input']!r}") from error


def flag_of(name: str) -> str:
    """The flag of a setting: `max_batch` is `--max-batch`."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable of a setting: `max_batch` is `FOCALPOINT_MAX_BATCH`."""
    return ENV_PREFIX + name.upper()


def usable_cores() -> int:
    """Cores this process may use: its affinity, and a container's quota, which the core count ignores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota_file = Path("/sys/fs/cgroup/cpu.max")
    if not quota_file.exists():
        return cores
    quota, period = quota_file.read_text(encoding="ascii").split()
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
