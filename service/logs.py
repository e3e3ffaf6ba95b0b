"""Logs on standard error: JSON, one object a line, or text for people."""

import logging
from typing import Literal

from pythonjsonlogger.orjson import OrjsonFormatter

LogFormat = Literal["json", "text"]


def configure_logging(level: str, log_format: LogFormat, worker: int | None = None) -> None:
    """Set up the root logger; what a record has as `extra` becomes members of its JSON object.

    Args:
        level: the least one to log.
        log_format: for machines or people.
        worker: which of several processes this is; stands in each record.
    """
    handler = logging.StreamHandler()
    if log_format == "json":
        renamed = {"asctime": "time", "levelname": "level", "name": "logger"}
        formatter: logging.Formatter = OrjsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields=renamed,
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            static_fields={} if worker is None else {"worker": worker},
        )
    else:
        who = "" if worker is None else f" worker {worker}"
        formatter = logging.Formatter(f"%(asctime)s %(levelname)s{who} %(name)s: %(message)s")
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])
