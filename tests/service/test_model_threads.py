"""Zeros in the settings become a share of the cores."""

import pytest

from service import model_threads as module
from service.model_threads import model_threads
from service.settings import Settings


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (8, 1, 4)),
        ({"batches_at_once": 1}, (1, 8, 8)),
        ({"batches_at_once": 3}, (3, 2, 4)),
        ({"intra_op_threads": 2}, (4, 2, 4)),
        ({"intra_op_threads": 16}, (1, 16, 16)),
        ({"batches_at_once": 16}, (16, 1, 4)),
        ({"batches_at_once": 2, "intra_op_threads": 3}, (2, 3, 4)),
        ({"lone_threads": 1}, (8, 1, 1)),
        ({"lone_threads": 6}, (8, 1, 6)),
        ({"provider": "cuda"}, (1, 8, 8)),
        ({"workers": 4}, (2, 1, 4)),
        ({"workers": 4, "batches_at_once": 1}, (1, 2, 4)),
        ({"workers": 64}, (1, 1, 4)),
    ],
)
def test_the_cores_are_shared(
    settings: dict[str, object], expected: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "usable_cores", lambda: 8)
    assert model_threads(Settings.model_validate(settings)) == expected
