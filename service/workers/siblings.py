"""What a process knows of those that serve beside it."""

from service.workers.shared_numbers import WorkerNumbers
from service.workers.worker_place import WorkerPlace


class Siblings:
    """The other workers; there are none beside the only process.

    Args:
        place: of this worker; None for the only process.
    """

    def __init__(self, place: WorkerPlace | None) -> None:
        if place is not None:
            self._in_flight = WorkerNumbers(place.folder, place.workers).in_flight
            self._number = place.number
        self._exist = place is not None

    def tell_in_flight(self, count: int) -> None:
        """This process works on so many images now."""
        if self._exist:
            self._in_flight[self._number] = count

    def are_idle(self) -> bool:
        """Whether no other process works on an image, so that its share of the cores is free."""
        return not self._exist or bool(self._in_flight.sum() == self._in_flight[self._number])
