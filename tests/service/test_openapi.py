"""The interface is frozen: a change of it is a change of this file, seen in review.

After a change that is meant:
    python -c "from tests.service.test_openapi import write; write()"
"""

import json
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings
from tests.service.conftest import unloadable

FROZEN = Path(__file__).with_name("openapi.json")


def current() -> dict[str, Any]:
    """The OpenAPI document without the project's version, which changes without the interface."""
    document = create_app(Settings(), [], unloadable).openapi()
    del document["info"]["version"]
    return document


def write() -> None:
    """Freeze the interface as it is now."""
    FROZEN.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def test_the_interface_is_as_frozen() -> None:
    assert current() == json.loads(FROZEN.read_text(encoding="utf-8"))
