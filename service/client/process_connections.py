"""What one process has open for a sync client."""

import os
import weakref

from service.client.exchanging import Exchanger
from service.client.loop_thread import LoopThread


class ProcessConnections:
    """Connections and their thread; ended too where the client is collected and nobody has closed it.

    Args:
        client: whose they are; no more than its end is looked at.
        exchanger: the connections.
    """

    def __init__(self, client: object, exchanger: Exchanger) -> None:
        self.process = os.getpid()
        self.exchanger = exchanger
        self.thread = LoopThread(exchanger.close)
        self._end = weakref.finalize(client, self.thread.end)
        self._end.atexit = False  # at its end the system closes them

    def leave(self) -> bool:
        """End the thread, if this is the process that has it; whether it is."""
        if self.process != os.getpid():
            self._end.detach()
            return False
        self._end()
        return True
