"""Logs on standard error: JSON, one object a line, or text for people."""

import logging
from typing import Literal

from pythonjsonlogger.orjson import OrjsonFormatter

LogFormat = Literal["json", "text"]


def configure_logging(level: str, log_format: LogFormat) -> None:
    """Set up the root logger; what a record has as `extra` becomes members of its JSON object."""
    handler = logging.StreamHandler()
    if log_format == "json":
        renamed = {"asctime": "time", "levelname": "level", "name": "logger"}
        formatter: logging.Formatter = OrjsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=renamed, datefmt="%Y-%m-%dT%H:%M:%S%z"
        )
    else:
        formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])
