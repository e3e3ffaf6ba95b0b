"""One engine and one build of each target for all checks."""

import pytest

from service import __version__
from tests.deploy.containers import build, container_engine
from tests.deploy.programs import only_at_length


@pytest.fixture(scope="session")
def engine() -> str:
    """docker or podman."""
    only_at_length()
    return container_engine()


@pytest.fixture(scope="session")
def cpu_image(engine: str) -> str:
    """The target `cpu`, built from the Dockerfile as it stands."""
    return build(engine, "cpu", "focalpoint:cpu", VERSION=__version__)
