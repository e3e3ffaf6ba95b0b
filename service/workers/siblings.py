"""What a process knows of those that serve beside it."""

from service.workers.worker_place import WorkerPlace


class Siblings:
    """The other workers; there are none beside the only process.

    Args:
        place: of this worker; None for the only process.
    """

    def __init__(self, place: WorkerPlace | None) -> None:
        self._place = place

    def tell_in_flight(self, count: int) -> None:
        """This process works on so many images now."""
        if self._place is not None:
            self._place.numbers.in_flight[self._place.number] = count

    def are_idle(self) -> bool:
        """Whether no other process works on an image, so that its share of the cores is free."""
        if self._place is None:
            return True
        in_flight = self._place.numbers.in_flight
        return bool(in_flight.sum() == in_flight[self._place.number])
