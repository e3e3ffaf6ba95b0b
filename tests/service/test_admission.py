"""Who is let in: the bound, the pace, and the prediction made of both."""

import pytest

from service.admission import Admission
from service.errors import Overloaded


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_the_bound_counts_images_and_gives_places_back() -> None:
    admission = Admission(3)
    with admission.admit(1.0, images=2):
        assert admission.in_flight == 2
        with (
            pytest.raises(Overloaded, match="2 images are in flight and 3 may") as full,
            admission.admit(1.0, images=2),
        ):
            pass
        assert full.value.reason == "overloaded_requests"
        with admission.admit(1.0):
            assert admission.in_flight == 3
    with pytest.raises(ZeroDivisionError), admission.admit(1.0):
        raise ZeroDivisionError
    assert admission.in_flight == 0


def test_the_wait_is_predicted_from_the_pace_while_busy() -> None:
    clock = Clock()
    admission = Admission(100, clock)
    places = [admission.admit(60.0) for _ in range(5)]
    for place in places:
        place.__enter__().answered = 1
    assert admission.predicted_wait_seconds() == 0  # nothing has been measured yet
    for place in places:
        clock.now += 0.5
        place.__exit__(None, None, None)
    for _ in range(100):  # refused at once, whatever it was: says nothing of the pace either
        with admission.admit(60.0):
            pass
    clock.now += 1000  # idle: says nothing of the pace
    with admission.admit(60.0), admission.admit(60.0, images=3):
        assert admission.predicted_wait_seconds() == pytest.approx(4 * 0.5)
        with pytest.raises(Overloaded, match=r"would take 2\.0 s and may take 1\.5 s") as late:
            admission.check(1.5)
        assert late.value.reason == "overloaded_wait"
        assert late.value.members == {"retry_after_ms": 500}
        assert late.value.headers == {"Retry-After": "1"}
        admission.check(2.5)
