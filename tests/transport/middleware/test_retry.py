"""Retrying in simulated time: what is tried again, when, how often, and what is recorded of it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from harness.model import Attempt, Marks, Message, Response
from harness.model.error_kinds import IDLE_CLOSED
from harness.transport.middleware.retry import Retry
from tests.transport.simulated import CLOCK, SECOND, Server, broken, calling, ok, simulate


def retried(
    *answers: Response, retries: int = 4, seed: int = 0, key: str = "k", **changes: Any
) -> tuple[Response, Server]:
    """The response after a server gave `answers` in turn, the last one for ever."""
    server = Server(lambda call, number: answers[min(number, len(answers)) - 1])
    call = replace(calling(retries=retries), key=key, **changes)

    async def work() -> Response:
        return await Retry(server, seed=seed, clock=CLOCK)(call)

    return simulate(work()), server


def seconds(server: Server) -> list[float]:
    """The waits between the attempts."""
    return [(later - earlier) / SECOND for earlier, later in pairwise(server.starts)]


def test_a_good_answer_is_passed_on() -> None:
    response, server = retried(ok())
    assert response == ok()
    assert len(server.starts) == 1


def test_backoff_doubles_to_a_cap_and_every_wait_is_recorded() -> None:
    response, server = retried(*[broken()] * 7, ok(), retries=9)
    waits = seconds(server)
    for wait, full in zip(waits, [0.5, 1, 2, 4, 8, 8, 8], strict=True):
        assert 0.75 * full <= wait <= full
    assert response.error is None
    assert [attempt.waited for attempt in response.attempts] == pytest.approx([0, *waits])
    assert [attempt.error is None for attempt in response.attempts] == [False] * 7 + [True]


def test_retries_run_out() -> None:
    response, server = retried(broken(), retries=2)
    assert len(server.starts) == len(response.attempts) == 3
    assert response.error is not None and response.error.retryable


def test_attempts_are_numbered_and_keep_the_first_due() -> None:
    first = replace(broken(), attempts=(Attempt(Marks(due=7, sent=8), 503),))
    _, server = retried(first, broken(), ok())
    assert [(call.attempt, call.due) for call in server.calls] == [(0, None), (1, 7), (2, 7)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_is_permanent_is_not_tried_again(status: int) -> None:
    """N05."""
    _, server = retried(broken(status, "bad_request", retryable=False))
    assert len(server.starts) == 1


def test_an_answer_that_had_begun_is_not_asked_for_again() -> None:
    error = broken(200, "truncated").error
    begun = [
        Response(Message("assistant", "Hel"), error=error, attempts=(Attempt(status=200),)),
        Response(error=error, attempts=(Attempt(Marks(sent=1, first_token=2), 200),)),
    ]
    for response in begun:
        assert len(retried(response)[1].starts) == 1
    nothing = Response(
        Message("assistant", ""), error=error, attempts=(Attempt(Marks(sent=1), 200),)
    )
    assert len(retried(nothing, ok())[1].starts) == 2


@pytest.mark.parametrize(
    ("retry_after", "shortest", "longest"),
    [
        (0.0, 0, 0),
        (0.25, 0.25, 0.32),
        (20.0, 20, 25),
        (120.0, 120, 150),
        (None, 0.37, 0.5),
        (-1.0, 0.37, 0.5),
        (math.nan, 0.37, 0.5),
    ],
)
def test_retry_after_is_honoured_and_never_undercut(
    retry_after: float | None, shortest: float, longest: float
) -> None:
    """N02: whatever cannot be a time means the usual backoff."""
    _, server = retried(broken(429, "rate_limited", retry_after=retry_after), ok())
    assert shortest <= seconds(server)[0] <= longest


@pytest.mark.parametrize("retry_after", [120.1, 1e9, math.inf])
def test_a_retry_after_beyond_the_cap_gives_up_and_says_so(retry_after: float) -> None:
    response, server = retried(broken(429, "rate_limited", retry_after=retry_after), ok())
    assert len(server.starts) == 1
    assert response.error is not None and response.error.retryable  # a resumed run owes it
    assert "more than the maximum of 120 s" in response.error.message


def test_the_waiting_of_one_call_is_capped() -> None:
    response, server = retried(broken(429, "rate_limited", retry_after=100), retries=50)
    assert len(server.starts) <= 4
    assert response.error is not None
    assert "would pass the limit of 300 s" in response.error.message


def test_the_same_500_every_time_is_tried_as_often_as_promised() -> None:
    """N06."""
    response, server = retried(broken(500, "server_error"), retries=3)
    assert len(server.starts) == 4
    assert response.error is not None and response.error.retryable, "resuming asks it again"
    assert retried(*[broken(500, "server_error")] * 4, ok())[0].error is None


def test_a_request_that_met_a_closed_connection_is_sent_again_at_once_and_on_the_record() -> None:
    """N14: for each of the slots once; it counts for no retry."""
    closed = broken(None, IDLE_CLOSED)
    response, server = retried(closed, closed, ok(), retries=0)
    assert seconds(server) == [0, 0] and len(response.attempts) == 3
    assert response.error is None
    endless, server = retried(closed, retries=1)
    assert len(server.starts) == 10, "eight slots, and the promised retry"
    assert endless.error is not None


def test_a_refusal_of_the_budget_ends_it_and_keeps_the_attempts() -> None:
    exhausted = Response(error=replace(broken().error, boundary="budget", kind="exhausted"))  # type: ignore[type-var]
    response, server = retried(broken(), exhausted)
    assert len(server.starts) == 2
    assert response.error == exhausted.error
    assert len(response.attempts) == 1


def test_waits_repeat_with_the_seed_and_differ_between_trials() -> None:
    def waits(**changes: Any) -> list[float]:
        return seconds(retried(broken(), broken(), ok(), **changes)[1])

    assert waits() == waits()
    assert len({tuple(waits(seed=seed, key=key)) for seed in (0, 1) for key in ("a", "b")}) == 4
