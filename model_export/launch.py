"""`focalpoint train --devices N`: one process for each device of this machine, started and watched by torchrun."""

import logging
import sys
import uuid
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def run_on_devices(devices: int, arguments: Sequence[str]) -> bool:
    """Run `focalpoint` with these arguments in `devices` processes; when one fails, the others are ended.

    Returns:
        whether all of them succeeded; one that fails has said why itself.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # its account of a failure is 30 lines
    configuration = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.5,
    )
    try:
        elastic_launch(configuration, sys.executable)("-m", "service", *arguments)
    except ChildFailedError:
        return False
    return True
