"""A real server on a loopback port, with the fake engine behind it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.connections import connection_class
from service.engine import KeypointEngine
from service.model_repository import LoadedBundle, load_bundles
from service.settings import Settings
from tests.fakes import FakeEngine, write_bundle


@dataclass(frozen=True)
class RunningServer:
    """A server under test and a client that talks to it."""

    url: str
    client: httpx.Client
    app: FastAPI

    def metrics(self) -> str:
        """The exposition of `/metrics`."""
        return self.client.get("/metrics").text


StartServer = Callable[..., RunningServer]


def unloadable(folder: Path) -> KeypointEngine:
    """For servers whose models stay as they are."""
    raise AssertionError(f"{folder} should not be loaded")


@contextmanager
def running_server(engine: KeypointEngine, **settings: Any) -> Iterator[RunningServer]:
    """Serve one model until the block ends; one batch at a time, so that a test can tell what joins it."""
    read = Settings(**{"batches_at_once": 1, **settings})
    with _running(create_app(read, [LoadedBundle(Path("discs"), engine)], unloadable), read) as running:
        yield running


@contextmanager
def running_repository(root: Path, load: Callable[[Path], KeypointEngine], **settings: Any) -> Iterator[RunningServer]:
    """Serve all that a folder holds until the block ends; one batch of a model at a time."""
    read = Settings(model=root, **{"batches_at_once": 1, **settings})
    with _running(create_app(read, load_bundles(root, load), load), read) as running:
        yield running


@contextmanager
def _running(app: FastAPI, settings: Settings) -> Iterator[RunningServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    connections = connection_class(settings.max_connections, settings.slow_connection_ms / 1000, app.state.refused)
    config = uvicorn.Config(app, http=connections, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
            yield RunningServer(url, client, app)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Starts servers with an engine and settings of the test's choice; they stop when it ends."""
    with ExitStack() as stack:
        yield lambda engine=None, **settings: stack.enter_context(running_server(engine or FakeEngine(), **settings))


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """One server with default settings, for tests that leave no trace in it."""
    with running_server(FakeEngine()) as running:
        yield running


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake model as a bundle on disk."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "discs")
