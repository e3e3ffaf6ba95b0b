"""The process that starts the workers, replaces those that end or hang, and passes signals on. It answers nothing."""

import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from service.api_keys import burst_of, read_key_file
from service.engine import KeypointEngine
from service.errors import StartupError
from service.server import check_certificate, reason_of
from service.settings import Settings
from service.workers.shared_numbers import SharedNumbers, WorkerNumbers
from service.workers.worker_place import WorkerPlace
from service.workers.worker_process import run_worker
from service.workers.worker_server import SUPERVISORS_SIGNALS

_logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_SILENT_SECONDS = 30.0  # without a word that it is well, a worker that has served is told to end
_END_SECONDS = 5.0  # beyond the drain, before a worker is killed
_START_SECONDS = 600.0  # a worker that has not come up in that time is killed
_LONGEST_PAUSE_SECONDS = 30.0  # between two tries to replace a worker; the first is a second
_BACKLOG = 2048

_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold


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
        StartupError: an address cannot be listened on, a file of the settings cannot be used, a worker cannot serve, or
            one had to be killed, or failed, while the others ended.
    """
    check_certificate(settings)
    with ExitStack() as stack:
        listener = stack.enter_context(_listening(settings.host, settings.port))
        admin = None
        if settings.admin_port is not None:
            admin = stack.enter_context(_listening(settings.host, settings.admin_port))
        keys = read_key_file(settings.api_keys) if settings.api_keys else None
        try:
            buckets = SharedNumbers(max(1, len(keys or ())), 2)
            # Held here, so that nobody else can take their names while a worker is replaced.
            metrics_listeners = [stack.enter_context(_private_listener()) for _ in range(settings.workers)]
            reading, failure = _SPAWN.Pipe(duplex=False)
            numbers = WorkerNumbers(settings.workers)
        except OSError as error:
            raise StartupError(f"there is not enough for {settings.workers} workers to share ({error})") from error
        for bucket, key in zip(buckets.table, keys or (), strict=False):
            bucket[:] = burst_of(key), time.monotonic()
        place = WorkerPlace(0, numbers, listener, admin, metrics_listeners, keys, buckets, failure)
        Supervisor(settings, load, place, reading).run()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = socket.getaddrinfo(host or None, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4]
        listener = socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        raise StartupError(f"the server could not start on {host}:{port} ({reason_of(error)})") from error
    with listener:
        listener.setblocking(False)
        yield listener


def _private_listener() -> socket.socket:
    """A socket of this machine with a name that the system chooses, and no file."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")
    listener.listen()
    listener.setblocking(False)
    return listener


@dataclass
class _Worker:
    """A worker, or its place while there is none.

    Attributes:
        process: None between two tries.
        started: monotonic seconds.
        has_served: whether it has ever said that it is well.
        ending: when it was told to end, if it was.
        is_late: whether it was killed because it did not.
        next_try: when to start the next one.
        failures: tries in a row that never served.
    """

    process: SpawnProcess | None = None
    started: float = 0.0
    has_served: bool = False
    ending: float | None = None
    is_late: bool = False
    next_try: float = 0.0
    failures: int = 0


class Supervisor:
    """Keeps the workers of one server running, until it is told to stop.

    Args:
        settings: of the server.
        load: see `supervise`.
        place: of the first worker; of the others but for the number.
        failures: where the sentences of workers that fail arrive.
    """

    def __init__(
        self, settings: Settings, load: Callable[[Path], KeypointEngine], place: WorkerPlace, failures: Connection
    ) -> None:
        self._port = place.listener.getsockname()[1]
        self._settings = settings.model_copy(update={"port": self._port})
        self._load = load
        self._place = place
        self._numbers = place.numbers
        self._failures = failures
        self._workers = [_Worker() for _ in range(settings.workers)]
        self._signals: list[int] = []
        self._stopping = False
        self._is_up = False
        self._failure: WorkerFailed | None = None
        self._sentences: dict[int, str] = {}
        self._looked = self._trusting_since = time.monotonic()

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and all workers have ended.

        Raises:
            WorkerFailed: one cannot serve at the start, none can any more, or one does not end as it should.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: self._signals.append(received))
        try:
            while not self._stopping or any(worker.process for worker in self._workers):
                self._look()
                wait([worker.process.sentinel for worker in self._workers if worker.process], _TICK_SECONDS)
        finally:  # after an error of this loop itself, there are some
            for worker in self._workers:
                if worker.process is not None:
                    worker.process.kill()
        if self._failure:
            raise self._failure
        _logger.info("all workers have ended")

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked > 1.0:  # this process stood still, and so did the others, it may be
            self._trusting_since = now
        self._looked = now
        while self._signals:
            self._on_signal(self._signals.pop(0))
        for number, worker in enumerate(self._workers):
            self._look_after(number, worker, now)

    def _on_signal(self, received: int) -> None:
        if received == signal.SIGHUP:
            self._numbers.rescans += 1
        else:
            self._stop(received)

    def _stop(self, received: int) -> None:
        self._stopping = True
        self._place.listener.close()  # the port is closed once the workers, too, have let go
        if self._place.admin_listener is not None:
            self._place.admin_listener.close()
        for number, worker in enumerate(self._workers):
            self._tell_to_end(number, worker, received)

    def _tell_to_end(self, number: int, worker: _Worker, received: int) -> None:
        if worker.process is None:
            return
        worker.ending = worker.ending or time.monotonic()
        self._numbers.interrupts[number] += received == signal.SIGINT
        self._numbers.stops[number] += 1
        if not self._takes_connections(number):
            worker.process.kill()  # it has accepted nothing

    def _takes_connections(self, number: int) -> bool:
        return bool(self._numbers.beats[number] > 0 or self._numbers.connections[number] < float("inf"))

    def _look_after(self, number: int, worker: _Worker, now: float) -> None:
        if worker.process is None:
            # One at first: what keeps it from serving keeps the others too, and is to be said once.
            is_due = now >= worker.next_try and (number == 0 or self._workers[0].has_served or self._is_up)
            if is_due and not self._stopping:
                self._start(number, worker)
        elif not worker.process.is_alive():
            self._on_end(number, worker, worker.process)
        elif worker.ending is not None:
            allowed = (self._settings.drain_delay_ms + self._settings.drain_timeout_ms) / 1000 + _END_SECONDS
            if now - worker.ending > allowed and not worker.is_late:
                _logger.error("worker %d does not end and is killed", number)
                worker.is_late = True
                worker.process.kill()
        elif not worker.has_served and self._numbers.beats[number] > 0:
            worker.has_served = True
            worker.failures = 0
            self._note_start()
        elif not worker.has_served and now - max(worker.started, self._trusting_since) > _START_SECONDS:
            _logger.error("worker %d has not come up in %g s and is killed", number, _START_SECONDS)
            worker.process.kill()
        elif self._is_silent(number, worker, now) and not any(other.ending for other in self._workers):
            # One after the other: somebody is to serve, be it badly.
            _logger.error("worker %d has not been well for %g s and is replaced", number, _SILENT_SECONDS)
            self._tell_to_end(number, worker, signal.SIGTERM)

    def _is_silent(self, number: int, worker: _Worker, now: float) -> bool:
        return worker.has_served and now - max(self._numbers.beats[number], self._trusting_since) > _SILENT_SECONDS

    def _start(self, number: int, worker: _Worker) -> None:
        self._numbers.clear(number)
        process = _SPAWN.Process(
            target=run_worker,
            args=(self._settings, self._load, self._place._replace(number=number)),
            name=f"focalpoint worker {number}",
        )
        # The worker inherits the mask, until it ignores them; here they wait meanwhile.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISORS_SIGNALS)
        try:
            process.start()
        except OSError as error:
            self._on_failure(number, worker, f"it could not be started: {error}", 1)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        worker.process, worker.started = process, time.monotonic()
        worker.has_served = worker.is_late = False

    def _note_start(self) -> None:
        if not self._is_up and all(worker.has_served for worker in self._workers):
            self._is_up = True
            _logger.info("%d workers running on %s (Press CTRL+C to quit)", len(self._workers), self._url(self._port))
            if self._place.admin_listener is not None:
                _logger.info("their admin port is on %s", self._url(self._place.admin_listener.getsockname()[1]))

    def _url(self, port: int) -> str:
        scheme = "https" if self._settings.tls_certificate else "http"
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"{scheme}://{host}:{port}"

    def _on_end(self, number: int, worker: _Worker, process: SpawnProcess) -> None:
        process.join()
        while self._failures.poll():
            self._sentences.update([self._failures.recv()])
        code = process.exitcode or 0
        why = self._sentences.pop(number, f"it ended by {_name_of_end(code)}")
        had_connections = self._takes_connections(number)
        self._numbers.clear(number)
        was_told, worker.ending, worker.process = worker.ending is not None, None, None
        if self._stopping:
            if code and had_connections:
                self._fail(f"worker {number} did not finish: {why}", 1)
        elif was_told:
            worker.next_try = time.monotonic()
        else:
            self._on_failure(number, worker, why, code if code > 0 else 1)

    def _on_failure(self, number: int, worker: _Worker, why: str, exit_code: int) -> None:
        """There is no worker of this number, which nobody wanted."""
        if not self._is_up or not any(other.process and other.has_served for other in self._workers):
            self._fail(why, exit_code)
            return
        worker.failures += not worker.has_served
        pause = min(_LONGEST_PAUSE_SECONDS, 2.0**worker.failures)
        worker.next_try = time.monotonic() + pause
        worker.has_served = False
        _logger.error("there is no worker %d (%s); the next one starts in %g s", number, why, pause)

    def _fail(self, why: str, exit_code: int) -> None:
        self._failure = self._failure or WorkerFailed(why, exit_code)
        if not self._stopping:
            self._stop(signal.SIGTERM)


def _name_of_end(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    known = {number.value: number.name for number in signal.Signals}
    return f"signal {known.get(-code, -code)}"
