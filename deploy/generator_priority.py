"""The generator before all else, where the system lets it: it needs a tenth of a millisecond for each request, on time.

On a machine whose cores the server fills, a generator of the same rank gets its turn milliseconds after a request was
due, and would measure that.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def before_all_others() -> Iterator[bool]:
    """Real-time priority for this thread, and those that it starts, until the block ends; yields whether it was given.

    Linux gives it to root and to who has CAP_SYS_NICE. Where it does not, the generator's lag shows what that costs.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield False
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, policy, parameters)
