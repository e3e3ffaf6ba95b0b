"""What is sent again and what is not, against a server that does what it should not."""

import socket
from itertools import pairwise

import pytest

from service.client import (
    ConnectionFailed,
    DeadlineExceeded,
    RequestRefused,
    RetryPolicy,
    ServerFailed,
    ServerOverloaded,
    UnexpectedAnswer,
)
from tests.service.client.asking import PICTURE, Ask, Watch, ask_sync, both_clients, failure_of
from tests.service.client.scripted_server import DROP, HANG, Reply, answer, keypoints, problem, scripted

# The clients wait for nothing but what they are told; two cores that do other things take some of this.
SLACK_SECONDS = 0.3
QUICK = {"retry": RetryPolicy(first_wait_seconds=0.001)}

FULL = problem(429, "overloaded", "full", {"Retry-After": 1}, retry_after_ms=120)
HALF = Reply(keypoints().content[:-20], then="close")


@both_clients
def test_waits_as_long_as_the_server_asks(ask: Ask) -> None:
    with scripted(FULL, keypoints(x=7.5)) as server, Watch() as watch:
        found = ask(server.url)
    assert found.instances[0].keypoints.tolist() == [[7.5, 2.25]]
    assert found.tries == 2
    first, second = server.asked
    assert 0.12 <= second.at - first.at <= 0.12 * 1.1 + SLACK_SECONDS
    assert watch.seconds <= 0.12 * 1.1 + 2 * SLACK_SECONDS
    assert server.connections == 1  # kept alive
    assert (first.body, second.body) == (PICTURE, PICTURE)
    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    left = [int(asked.headers["x-deadline-ms"]) for asked in server.asked]
    assert 29_000 < left[0] <= 30_000
    assert 120 <= left[0] - left[1] <= 1000 * (0.12 * 1.1 + SLACK_SECONDS)


def test_waits_the_whole_seconds_of_a_proxy() -> None:
    with scripted(answer(503, b"busy", "text/html", Retry_After=1), keypoints()) as server:
        assert ask_sync(server.url).tries == 2
    assert 1.0 <= server.asked[1].at - server.asked[0].at <= 1.1 + SLACK_SECONDS


@both_clients
def test_a_wait_beyond_the_deadline_is_not_begun(ask: Ask) -> None:
    with scripted(problem(429, "overloaded", "full", {"Retry-After": 5})) as server:
        error, seconds = failure_of(ask, server.url, deadline_ms=2000)
    assert isinstance(error, ServerOverloaded)
    assert (error.status, error.type, error.title, error.detail) == (429, "overloaded", "OVERLOADED", "full")
    assert (error.retry_after_seconds, error.tries) == (5.0, 1)
    assert error.request_id == server.asked[0].headers["x-request-id"]
    assert str(error).endswith(f"/v1/keypoints answered 429 (OVERLOADED): full [request {error.request_id}]")
    assert seconds < 2 * SLACK_SECONDS


@both_clients
def test_overload_for_ever_ends_before_the_deadline(ask: Ask) -> None:
    with scripted(problem(429, "overloaded", "full", retry_after_ms=250)) as server:
        error, seconds = failure_of(ask, server.url, deadline_ms=500)
    assert isinstance(error, ServerOverloaded), str(error)
    assert seconds < 0.5
    assert error.tries == len(server.asked) == 2


@pytest.mark.parametrize(("status", "kind"), [(429, ServerOverloaded), (503, ServerOverloaded), (502, ServerFailed)])
def test_tries_are_bounded(status: int, kind: type[Exception]) -> None:
    with scripted(answer(status, b"")) as server:
        error, _ = failure_of(ask_sync, server.url, options=QUICK)
    assert type(error) is kind
    assert len(server.asked) == error.tries == 6


def test_waits_double_where_the_server_does_not_say() -> None:
    policy = RetryPolicy(max_tries=4, first_wait_seconds=0.05, jitter=0)
    with scripted(answer(503, b"")) as server:
        failure_of(ask_sync, server.url, options={"retry": policy})
    waits = [after.at - before.at for before, after in pairwise(server.asked)]
    assert [wait >= least for wait, least in zip(waits, (0.05, 0.1, 0.2), strict=True)] == [True] * 3
    assert sum(waits) < 0.35 + SLACK_SECONDS


@both_clients
@pytest.mark.parametrize(
    "reply", [HANG, Reply(keypoints().content, pause_seconds=0.05), Reply(keypoints().content[:-5], "hang")],
    ids=["silence", "a byte now and then", "all but the end"],
)  # fmt: skip
def test_a_hanging_server_is_left_at_the_deadline(ask: Ask, reply: Reply) -> None:
    with scripted(reply) as server:
        error, seconds = failure_of(ask, server.url, deadline_ms=400)
        assert server.closed_by_client.wait(5)
    assert isinstance(error, DeadlineExceeded)
    assert 0.4 <= seconds < 0.4 + SLACK_SECONDS
    assert "expected an answer within 0.4 s" in str(error)
    assert (len(server.asked), error.tries) == (1, 1)


def test_a_server_that_accepts_nothing_more_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(3)]  # the backlog is full: another connection is not even refused
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        error, seconds = failure_of(ask_sync, f"http://127.0.0.1:{listener.getsockname()[1]}", deadline_ms=300)
        for one in waiting:
            one.close()
    assert isinstance(error, DeadlineExceeded)
    assert 0.3 <= seconds < 0.3 + SLACK_SECONDS


@both_clients
@pytest.mark.parametrize("reply", [DROP, HALF, Reply(b"HTTP/1.1 200", then="close")], ids=["before", "body", "head"])
def test_a_dropped_connection_is_tried_again(ask: Ask, reply: Reply) -> None:
    with scripted(reply, reply, keypoints(score=0.25)) as server:
        found = ask(server.url, options=QUICK)
    assert (found.tries, found.instances[0].score) == (3, 0.25)
    assert server.connections == 3


@both_clients
@pytest.mark.parametrize("reply", [DROP, HALF], ids=["before", "body"])
def test_connections_that_drop_for_ever(ask: Ask, reply: Reply) -> None:
    with scripted(reply) as server:
        error, _ = failure_of(ask, server.url, options=QUICK)
    assert isinstance(error, ConnectionFailed)
    assert len(server.asked) == error.tries == 6
    assert error.request_id in str(error)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    error, _ = failure_of(ask_sync, url, options=QUICK)
    assert isinstance(error, ConnectionFailed)
    assert "Connect call failed" in str(error)


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (answer(200, b"<html>welcome</html>", "text/html"), "Invalid JSON"),
        (answer(200, b""), "Invalid JSON"),
        (answer(200, {"model": {"name": "m", "version": "1"}}), "missing key image; missing key instances"),
        (answer(200, [1]), "KeypointsAnswer"),
        (keypoints(instances=2), "expected 1 objects, found 2"),
        (keypoints(score=1.5), "less than or equal to 1"),
        (answer(302, b"", Location="https://login.example"), "a redirection (302) to https://login.example"),
    ],
)
def test_another_answer_than_expected(reply: Reply, found: str) -> None:
    with scripted(reply) as server:
        error, _ = failure_of(ask_sync, server.url)
    assert type(error) is UnexpectedAnswer
    assert found in str(error)
    assert len(server.asked) == 1
    assert len(str(error)) < 600


@both_clients
def test_a_refusal_is_final(ask: Ask) -> None:
    with scripted(problem(422, "invalid-parameter", "boxes: expected 4, found 3", retry_after_ms=1)) as server:
        error, _ = failure_of(ask, server.url)
    assert isinstance(error, RequestRefused)
    assert (error.status, error.type, error.detail) == (422, "invalid-parameter", "boxes: expected 4, found 3")
    assert len(server.asked) == 1


def test_a_refusal_in_a_proxys_own_words() -> None:
    with scripted(answer(413, b"<h1>Too\n large</h1>", "text/html")) as server:
        error, _ = failure_of(ask_sync, server.url)
    assert isinstance(error, RequestRefused)
    assert (error.type, error.title, error.detail) == (
        "about:blank",
        "Request Entity Too Large",
        "<h1>Too large</h1>",
    )


def test_what_broke_the_server_is_not_sent_again() -> None:
    with scripted(problem(500, "internal", "the model failed")) as server:
        error, _ = failure_of(ask_sync, server.url)
    assert type(error) is ServerFailed
    assert len(server.asked) == 1


def test_the_servers_own_deadline() -> None:
    with scripted(problem(504, "deadline-exceeded", "no answer within 2 s")) as server:
        error, _ = failure_of(ask_sync, server.url)
    assert type(error) is DeadlineExceeded
    assert "no answer within 2 s" in str(error)
    assert len(server.asked) == 1
