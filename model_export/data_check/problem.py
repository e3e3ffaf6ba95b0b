"""A problem of a data set, as `focalpoint check-data` reports it."""

from typing import Literal, NamedTuple

# An error is certainly wrong, or stops training; a warning is worth a look; a note says what metrics will lack.
Severity = Literal["error", "warning", "note"]


class Problem(NamedTuple):
    """One thing found.

    Attributes:
        check: the kind of problem, such as `same_picture`.
        severity: how bad it is.
        where: file and object, keypoint or picture.
        detail: what was expected and found.
    """

    check: str
    severity: Severity
    where: str
    detail: str
