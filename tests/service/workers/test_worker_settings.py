"""A worker's share of the limits."""

import pytest

from service.errors import InvalidSetting
from service.settings import Settings, read_settings
from service.workers.worker_process import settings_of_worker


def test_limits_are_shared_out_and_the_rest_is_as_it_was() -> None:
    settings = Settings(workers=4, max_queue=400, max_in_flight=128, max_connections=1000, max_batch=8)
    share = settings_of_worker(settings)
    changed = {name: value for name, value in share.model_dump().items() if value != settings.model_dump()[name]}
    assert changed == {
        "max_queue": 100,
        "max_in_flight": 32,
        "max_connections": 250,
        "max_buffered_bytes": settings.max_buffered_bytes // 4,
        "max_pixels_in_memory": 50_000_000,
    }


def test_the_largest_request_still_fits_a_share() -> None:
    settings = Settings(workers=64, max_connections=10)
    share = settings_of_worker(settings)
    assert share.max_in_flight == share.max_images == 32
    assert share.max_queue == share.max_boxes == 64
    assert share.max_buffered_bytes == share.max_body_bytes
    assert share.max_pixels_in_memory == share.max_pixels
    assert share.max_connections == 1


def test_only_linux_has_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings(workers=2).workers == 2
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(InvalidSetting, match="workers: expected 1 on any system but Linux, found 2"):
        read_settings(workers=2)
