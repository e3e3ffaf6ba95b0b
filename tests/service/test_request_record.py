"""The record of a request: its id, its deadline, its times."""

import re

import pytest

from service.errors import InvalidParameter
from service.request_record import RequestRecord, deadline_seconds


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a\nb", "é", "<script>"])
def test_an_id_that_cannot_be_used_is_replaced(sent: str) -> None:
    one, other = RequestRecord.of_request(sent), RequestRecord.of_request(sent)
    assert one.request_id != other.request_id
    assert re.fullmatch("[0-9a-f]{32}", one.request_id)


def test_an_id_that_can_be_used_is_kept() -> None:
    assert RequestRecord.of_request("4bf92f3577b34da6:1/a_B.c-d=").request_id == "4bf92f3577b34da6:1/a_B.c-d="


def test_stages_add_up() -> None:
    record, part = RequestRecord("id"), RequestRecord("id", batch_size=3)
    record.add("infer", 0.002)
    record.add("infer", 0.001)
    part.add("infer", 0.004)
    with pytest.raises(ZeroDivisionError), record.stage("crop"):
        raise ZeroDivisionError
    record.merge(part)
    assert record.stages["infer"] == pytest.approx(0.007)
    assert record.stages["crop"] > 0
    assert record.batch_size == 3
    assert re.fullmatch(r"infer;dur=7\.00, crop;dur=0\.\d\d, total;dur=\d+\.\d\d", record.server_timing())


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, 30), ("1", 0.001), ("1500", 1.5), ("99999", 30), ("9" * 50, 30), ("007", 0.007)]
)
def test_a_deadline_may_be_shorter_than_the_servers(header: str | None, seconds: float) -> None:
    assert deadline_seconds({"x-deadline-ms": header} if header else {}, 30) == seconds


@pytest.mark.parametrize("header", ["0", "-1", "1.5", "soon", "", "١٢", "1e3", "0" * 50])
def test_a_deadline_that_is_no_number_above_zero_is_refused(header: str) -> None:
    with pytest.raises(InvalidParameter, match="X-Deadline-Ms: expected a whole number of milliseconds above 0"):
        deadline_seconds({"x-deadline-ms": header}, 30)
