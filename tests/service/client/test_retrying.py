"""How long to wait, by arithmetic alone."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from service.client import RetryPolicy
from service.client.retrying import retry_after_seconds


def test_own_waits_double_up_to_the_longest_and_are_only_shortened() -> None:
    policy = RetryPolicy(max_tries=9, first_wait_seconds=1, longest_wait_seconds=5, jitter=0.5)
    longest = [policy.wait_seconds(tries, None, 100, lambda: 0.0) for tries in range(1, 6)]
    assert longest == [1, 2, 4, 5, 5]
    shortest = [policy.wait_seconds(tries, None, 100, lambda: 1.0) for tries in range(1, 6)]
    assert shortest == [0.5, 1, 2, 2.5, 2.5]


def test_what_the_server_asks_for_is_only_lengthened() -> None:
    policy = RetryPolicy(longest_wait_seconds=5, jitter=1)
    assert policy.wait_seconds(1, 20.0, 100, lambda: 0.0) == 20
    assert policy.wait_seconds(1, 20.0, 100, lambda: 1.0) == pytest.approx(22)


def test_no_wait_beyond_the_tries_or_the_deadline() -> None:
    policy = RetryPolicy(max_tries=2)
    assert policy.wait_seconds(2, 0.0, 100) is None
    assert policy.wait_seconds(1, 3.0, 2.9) is None
    assert policy.wait_seconds(1, 3.0, 4.0) is not None


def test_the_forms_of_retry_after() -> None:
    assert retry_after_seconds({"retry-after": "3"}, {}) == 3
    assert retry_after_seconds({"retry-after": "3"}, {"retry_after_ms": 2100}) == 2.1
    assert retry_after_seconds({}, {"retry_after_ms": 2100}) == 2.1
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after_seconds({"retry-after": later}, {}) == pytest.approx(90, abs=5)
    assert retry_after_seconds({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, {}) == 0
    for nothing in ("", "soon", "-1", "1.5", "٣", "Wed, 99 Oct 2015 07:28:00 GMT"):
        assert retry_after_seconds({"retry-after": nothing}, {}) is None
    assert retry_after_seconds({}, {"retry_after_ms": "soon"}) is None
