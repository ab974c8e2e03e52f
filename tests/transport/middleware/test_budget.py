"""The budget in simulated time: reserved before, settled after, never overshot."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.model import Attempt, Batch, Call, Marks, Response
from harness.transport.middleware.budget import Budget
from tests.properties import scale_examples
from tests.transport.calling import sending
from tests.transport.simulated import Server, broken, calling, ok, simulate


def quarter(call: Call, response: Response) -> float | None:
    return 0.25


def budget(
    server: Server,
    limit: float,
    *,
    bound: float | None = 1.0,
    price: Callable[[Call, Response], float | None] = quarter,
) -> Budget:
    return Budget(limit, upper_bound=lambda call: bound, price=price).around(server)


async def send(layer: Budget, times: int) -> list[Response]:
    return await sending(layer, *[calling()] * times)


def test_spending_settles_on_what_it_cost() -> None:
    layer = budget(Server(), 10)
    simulate(send(layer, 4))
    assert (layer.spent, layer.reserved, layer.exhausted) == (1.0, 0.0, False)


@pytest.mark.parametrize(
    ("response", "spent"),
    [
        (broken(500, "server_error"), 4.0),
        (broken(529, "overloaded"), 4.0),
        (broken(None, "reset"), 4.0),
        (broken(None, "idle_closed"), 4.0),
        (broken(429, "rate_limited"), 0.0),
        (broken(404, "not_found"), 0.0),
    ],
)
def test_a_failure_that_may_be_billed_settles_at_its_reservation(
    response: Response, spent: float
) -> None:
    layer = budget(Server(lambda call, number: response), 10)
    simulate(send(layer, 4))
    assert (layer.spent, layer.reserved) == (spent, 0.0)


def test_what_does_not_fit_waits_for_what_is_open() -> None:
    """$2 hold two reservations of $1; each costs a quarter, so all five can go, two at a time."""
    server = Server(seconds=1)
    layer = budget(server, 2)
    responses = simulate(send(layer, 5))
    assert [response.error for response in responses] == [None] * 5
    assert server.most == 2


def test_what_cannot_fit_is_refused_and_never_sent() -> None:
    server = Server(seconds=1)
    layer = budget(server, 1.6)
    responses = simulate(send(layer, 5))
    assert len(server.starts) == 3  # $0.75 spent; a fourth might reach $1.75
    error = responses[-1].error
    assert error is not None
    assert (error.boundary, error.kind, error.retryable) == ("budget", "exhausted", True)
    assert (
        error.message
        == "the budget of $1.6 is exhausted: $0.85 is left, and this request could cost up to $1"
    )
    assert responses[-1].attempts == ()
    assert layer.exhausted


def test_a_budget_used_to_the_cent_is_not_refused() -> None:
    server = Server()
    layer = budget(server, 0.3, bound=0.1, price=lambda call, response: 0.1)
    simulate(send(layer, 3))
    assert len(server.starts) == 3
    assert layer.spent == pytest.approx(0.3)


NOT_SENT = Response(error=broken().error, attempts=(Attempt(Marks(), None),))


@pytest.mark.parametrize(
    ("response", "cost"),
    [
        (ok(), 0.25),
        (NOT_SENT, 0.0),
        (Response(error=broken().error), 0.0),
        (broken(400, "bad_request"), 0.0),
        (broken(429, "rate_limited"), 0.0),
        (broken(500, "server_error"), 1.0),
        (broken(None, "timeout_total"), 1.0),
        (broken(200, "truncated"), 1.0),
    ],
    ids=["answered", "not sent", "no attempt", "400", "429", "500", "timeout", "truncated"],
)
def test_what_an_attempt_costs(response: Response, cost: float) -> None:
    def price(call: Call, answered: Response) -> float | None:
        return 0.25 if answered.error is None else None

    layer = budget(Server(lambda call, number: response), 10, price=price)
    simulate(send(layer, 1))
    assert layer.spent == cost


def test_a_cancelled_attempt_costs_its_reservation() -> None:
    layer = budget(Server(seconds=9), 10)

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(layer(calling()), 1)

    simulate(work())
    assert (layer.spent, layer.reserved) == (1.0, 0.0)


def test_a_target_without_a_price_is_refused_under_a_limit_and_free_without() -> None:
    refused = simulate(send(budget(Server(), 10, bound=None), 1))[0]
    assert refused.error is not None and refused.error.kind == "unpriced"
    assert "'tiny' has no price" in refused.error.message
    assert simulate(send(budget(Server(), math.inf, bound=None), 1))[0].error is None


def test_what_earlier_sessions_spent_counts() -> None:
    layer = Budget(
        2, upper_bound=lambda call: 1.0, price=lambda call, response: 1.0, spent=1.5
    ).around(Server())
    assert simulate(send(layer, 1))[0].error is not None


@settings(max_examples=scale_examples(50))
@given(
    st.lists(
        st.tuples(st.floats(0.01, 3), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=40
    ),
    st.floats(0.5, 20),
)
def test_concurrency_never_overshoots(
    attempts: list[tuple[float, float, int]], limit: float
) -> None:
    """Any bounds, any actual costs up to them, any durations, all at once."""
    plan = {str(place): attempt for place, attempt in enumerate(attempts)}

    async def inner(call: Call) -> Response:
        assert layer.spent + layer.reserved <= limit + 1e-6
        await asyncio.sleep(plan[call.key][2])
        return ok()

    layer = Budget(
        limit,
        upper_bound=lambda call: plan[call.key][0],
        price=lambda call, response: plan[call.key][0] * plan[call.key][1],
    ).around(inner)

    async def work() -> list[Response]:
        return await sending(layer, *[replace(calling(), key=key) for key in plan])

    responses = simulate(work())
    assert layer.spent <= limit + 1e-6
    assert layer.reserved == 0
    if all(bound <= limit - layer.spent for bound, _, _ in attempts):
        assert all(response.error is None for response in responses)


# ── Batches ───────────────────────────────────────────────────────────────────────────────────────


def submission(key: str = "batch") -> Call:
    return replace(calling(), key=key, batch=Batch((calling().request,) * 2))


def poll(key: str = "batch") -> Call:
    return replace(calling(), key=key, batch=Batch((), "uuid-1"))


def test_a_batch_that_was_submitted_stays_reserved_until_its_answers_are_in() -> None:
    layer = budget(Server(), 2)
    simulate(layer(submission()))
    assert (layer.spent, layer.reserved) == (0.0, 1.0)
    layer.settle_batch("batch", 0.3)
    assert (layer.spent, layer.reserved) == (0.3, 0.0)
    layer.settle_batch("batch", 0.3)
    assert layer.spent == 0.3


def test_a_batch_whose_cost_is_unknown_did_cost_its_reservation() -> None:
    layer = budget(Server(), 2)
    simulate(layer(submission()))
    layer.settle_batch("batch", None)
    assert (layer.spent, layer.reserved) == (1.0, 0.0)


def test_what_does_not_fit_beside_a_batch_waits_for_it_and_the_poll_does_not_wait_for_that() -> (
    None
):
    server = Server()
    layer = budget(server, 1.5)

    async def work() -> list[Response]:
        await layer(submission())
        waiting = asyncio.ensure_future(layer(calling()))
        await asyncio.sleep(1)
        await layer(poll())
        layer.settle_batch("batch", 0.2)
        return [await waiting]

    (response,) = simulate(work())
    assert response.error is None
    assert [call.batch is None for call in server.calls] == [False, False, True]


def test_nothing_waits_for_a_batch_that_is_out_of_reach_and_its_reservation_stands() -> None:
    layer = budget(Server(), 1.5)

    async def work() -> Response:
        await layer(submission())
        waiting = asyncio.ensure_future(layer(calling()))
        await asyncio.sleep(1)
        layer.leave_batch("batch")
        return await asyncio.wait_for(waiting, 1)

    response = simulate(work())
    assert response.error is not None
    assert (response.error.kind, layer.reserved) == ("exhausted", 1.0)
    layer.settle_batch("batch", 0.3)  # somebody reached it after all
    assert (layer.spent, layer.reserved) == (0.3, 0.0)


def test_a_batch_of_an_earlier_session_is_reserved_from_the_start() -> None:
    layer = Budget(1.5, upper_bound=lambda _: 1.0, price=quarter, held={"batch": 1.0}).around(
        Server()
    )
    assert layer.reserved == 1.0

    async def work() -> list[Response]:
        waiting = asyncio.ensure_future(layer(calling()))
        await asyncio.sleep(1)
        layer.settle_batch("batch", 1.0)
        return [await waiting]

    (response,) = simulate(work())
    assert response.error is not None
    assert response.error.kind == "exhausted"


def test_a_submission_that_was_refused_holds_nothing() -> None:
    layer = budget(Server(answer=lambda call, number: broken(413, "too_large", retryable=False)), 2)
    simulate(layer(submission()))
    assert (layer.spent, layer.reserved) == (0.0, 0.0)
