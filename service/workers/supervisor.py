"""The process that starts the workers, replaces those that end or hang, and passes signals on. It answers nothing."""

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from service.api_keys import ApiKey, burst_of, read_key_file
from service.engine import KeypointEngine
from service.errors import StartupError
from service.server import check_certificate
from service.settings import Settings
from service.workers.shared_numbers import SharedBuckets, WorkerNumbers
from service.workers.worker_place import WorkerPlace
from service.workers.worker_process import run_worker
from service.workers.worker_server import WorkerSockets

_logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_SILENT_SECONDS = 30.0  # without a word that it is well, a worker that has served is ended
_END_SECONDS = 5.0  # beyond the drain, before a worker is killed
_LONGEST_PAUSE_SECONDS = 30.0  # between two tries to replace a worker; the first is a second
_BACKLOG = 2048


class WorkerFailed(StartupError):  # noqa: N818 - as those beside it
    """A worker cannot serve.

    Args:
        message: its own sentence.
        exit_code: its own.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # of the class elsewhere


def supervise(settings: Settings, load: Callable[[Path], KeypointEngine]) -> None:
    """Serve with `settings.workers` processes until SIGTERM or SIGINT; returns when all have finished.

    Args:
        settings: of the server.
        load: a verified engine from the folder of a bundle; it goes to other processes, so that it is to be a function
            of a module, or a partial of one.

    Raises:
        StartupError: an address cannot be listened on, a file of the settings cannot be used, or a worker cannot serve.
    """
    keys = read_key_file(settings.api_keys) if settings.api_keys else None
    check_certificate(settings)
    with ExitStack() as stack:
        listener = stack.enter_context(_listening(settings.host, settings.port))
        admin = None
        if settings.admin_port is not None:
            admin = stack.enter_context(_listening(settings.host, settings.admin_port))
        folder = Path(stack.enter_context(_shared_folder()))
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        Supervisor(settings, load, folder, keys, listener, admin).run()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_BACKLOG
        )
    except OSError as error:
        why = str(error) if error.errno is None else os.strerror(error.errno)
        raise StartupError(f"the server could not start on {host}:{port} ({why})") from error
    with listener:
        listener.setblocking(False)
        yield listener


@contextmanager
def _shared_folder() -> Iterator[str]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="focalpoint-")
    except OSError as error:
        raise StartupError(f"several workers need a temporary folder to share ({error})") from error
    with folder as path:
        yield path


@dataclass
class _Worker:
    """A worker, or its place while there is none.

    Attributes:
        process: None between two tries.
        started: monotonic seconds.
        has_served: whether it has ever said that it is well.
        ending: when it was told to end, if it was.
        next_try: when to start the next one.
        failures: tries in a row that never served.
    """

    process: SpawnProcess | None = None
    has_served: bool = False
    ending: float | None = None
    next_try: float = 0.0
    failures: int = 0


class Supervisor:
    """Keeps the workers of one server running, until it is told to stop.

    Args:
        settings: of the server; its port is the one that is listened on.
        load: see `supervise`.
        folder: empty, for what the workers share.
        keys: API keys, if there are any.
        listener: for all workers.
        admin_listener: for all workers, if there is an admin port.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[Path], KeypointEngine],
        folder: Path,
        keys: tuple[ApiKey, ...] | None,
        listener: socket.socket,
        admin_listener: socket.socket | None,
    ) -> None:
        self._settings = settings
        self._load = load
        self._folder = folder
        self._keys = keys
        self._listener = listener
        self._admin_listener = admin_listener
        self._numbers = WorkerNumbers.create(folder, settings.workers)
        if keys:
            SharedBuckets.create(folder, [burst_of(key) for key in keys], time.monotonic())
        self._workers = [_Worker() for _ in range(settings.workers)]
        self._signals: list[signal.Signals] = []
        self._stopping = False
        self._is_up = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and all workers have ended.

        Raises:
            WorkerFailed: one cannot serve at the start, or none can any more.
        """
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, lambda received, _frame: self._signals.append(signal.Signals(received)))
        try:
            while not self._stopping or any(worker.process for worker in self._workers):
                self._pass_signals_on()
                for number, worker in enumerate(self._workers):
                    self._look_after(number, worker)
                wait([worker.process.sentinel for worker in self._workers if worker.process], _TICK_SECONDS)
        finally:
            for worker in self._workers:
                if worker.process is not None:
                    worker.process.kill()
                    worker.process.join()
        _logger.info("all workers have ended")

    def _pass_signals_on(self) -> None:
        while self._signals:
            received = self._signals.pop(0)
            if received != signal.SIGHUP:
                self._stopping = True
                self._let_go_of_sockets()
            for worker in self._workers:
                if worker.has_served or received != signal.SIGHUP:
                    self._signal(worker, received)

    def _let_go_of_sockets(self) -> None:
        """The port is closed once the workers, too, have let go."""
        self._listener.close()
        if self._admin_listener is not None:
            self._admin_listener.close()

    def _signal(self, worker: _Worker, signal_number: signal.Signals) -> None:
        process = worker.process
        if process is None or process.pid is None or not process.is_alive():
            return  # asked just now, so that its id cannot be another's yet
        os.kill(process.pid, signal_number)
        if signal_number != signal.SIGHUP and worker.ending is None:
            worker.ending = time.monotonic()

    def _look_after(self, number: int, worker: _Worker) -> None:
        now = time.monotonic()
        if worker.process is None:
            # One at first: what keeps it from serving keeps the others too, and is to be said once.
            is_due = now >= worker.next_try and (number == 0 or self._workers[0].has_served or self._is_up)
            if is_due and not self._stopping:
                self._start(number, worker)
        elif not worker.process.is_alive():
            self._on_end(number, worker, worker.process)
        elif worker.ending is not None:
            allowed = (self._settings.drain_delay_ms + self._settings.drain_timeout_ms) / 1000 + _END_SECONDS
            if now - worker.ending > allowed:
                _logger.error("worker %d does not end and is killed", number)
                worker.process.kill()
        elif worker.has_served and now - self._numbers.beats[number] > _SILENT_SECONDS:
            _logger.error("worker %d has not been well for %g s and is replaced", number, _SILENT_SECONDS)
            self._numbers.connections[number] = float("inf")  # the others are to wait for it no more
            self._signal(worker, signal.SIGTERM)
        elif not worker.has_served and self._numbers.beats[number] > 0:
            worker.has_served = True
            worker.failures = 0
            self._note_start()

    def _start(self, number: int, worker: _Worker) -> None:
        self._numbers.clear(number)
        place = WorkerPlace(number, len(self._workers), self._folder, self._keys)
        place.failure_file.unlink(missing_ok=True)
        sockets = WorkerSockets(place, self._listener, self._admin_listener)
        process = multiprocessing.get_context("spawn").Process(
            target=run_worker, args=(self._settings, self._load, sockets), name=f"focalpoint worker {number}"
        )
        # Inherited: a Ctrl+C before it has a group of its own would end it with a traceback.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        worker.process, worker.has_served, worker.ending = process, False, None

    def _note_start(self) -> None:
        if not self._is_up and all(worker.has_served for worker in self._workers):
            self._is_up = True
            scheme = "https" if self._settings.tls_certificate else "http"
            host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
            address = f"{scheme}://{host}:{self._settings.port}"
            _logger.info("%d workers running on %s (Press CTRL+C to quit)", len(self._workers), address)

    def _on_end(self, number: int, worker: _Worker, process: SpawnProcess) -> None:
        process.join()
        self._numbers.clear(number)
        worker.process = None
        if self._stopping:
            if process.exitcode:
                _logger.error("worker %d has ended with code %d", number, process.exitcode)
            return
        why = self._why(number, process)
        if not self._is_up or not any(other.process and other.has_served for other in self._workers):
            raise WorkerFailed(why, process.exitcode if process.exitcode and process.exitcode > 0 else 1)
        worker.failures += not worker.has_served
        pause = min(_LONGEST_PAUSE_SECONDS, 2.0**worker.failures)
        worker.next_try = time.monotonic() + pause
        _logger.error("worker %d has ended (%s); the next one starts in %g s", number, why, pause)

    def _why(self, number: int, process: SpawnProcess) -> str:
        file = WorkerPlace(number, len(self._workers), self._folder, None).failure_file
        if file.exists():
            return file.read_text(encoding="utf-8")
        code = process.exitcode or 0
        by = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"a worker ended by {by}; the log may say why"
