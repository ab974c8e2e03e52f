"""The whole Send stack in its one line, over real sockets."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from harness.model import Call, Response
from harness.transport.http.client import HttpClient
from harness.transport.middleware.budget import Budget
from harness.transport.middleware.limit import Limit, Slot
from harness.transport.middleware.quota import TokenNeed
from harness.transport.middleware.replay import Replay, StoredExchange
from harness.transport.middleware.retry import Retry
from harness.transport.middleware.stop import Stop
from harness.transport.send import Send
from harness.transport.stack import StackConfig, build_send_stack
from tests.transport.calling import Kind, call, sending
from tests.transport.servers import COMPLETION, Peer, Received, serving, whole


def test_a_server_that_is_overloaded_at_first(kind: Kind) -> None:
    """Every eighth request is told to wait; all are answered in the end, within slots and budget,
    and replay for nothing."""

    async def answer(request: Received, peer: Peer) -> None:
        nonlocal received, in_flight, most
        received, in_flight = received + 1, in_flight + 1
        most = max(most, in_flight)
        refused = received % 8 == 5
        await asyncio.sleep(0.005)
        in_flight -= 1
        if refused:
            await peer.send(
                whole(
                    b'{"error":"busy"}',
                    "429 Too Many Requests",
                    "application/json",
                    "Retry-After-Ms: 10",
                )
            )
        else:
            await peer.send(whole(COMPLETION))

    received = in_flight = most = 0

    async def work() -> tuple[list[Response], Budget, list[Response], int]:
        async with serving(answer) as server, HttpClient({}, kind.open) as http:
            one = call(server.url, stream=False)
            one = replace(
                one,
                target=replace(
                    one.target, limits=replace(one.target.limits, concurrency=4, retries=20)
                ),
            )
            calls = [replace(one, key=f"k{place}", repeat=place) for place in range(24)]

            budget = Budget(0.5, upper_bound=lambda call: 0.1, price=lambda *_: 0.01).around(
                Limit(http, tokens=lambda call: TokenNeed(9, 0))
            )
            responses = await sending(Replay().around(Retry(budget)), *calls)
            sent = len(server.received)
            stored = [
                StoredExchange("run-1", made, response)
                for made, response in zip(calls, responses, strict=True)
            ]
            replayed = await sending(Replay(stored, mode="only").around(Retry(budget)), *calls)
            return responses, budget, replayed, len(server.received) - sent

    responses, budget, replayed, sent_again = kind.run(work())
    assert [response.error for response in responses] == [None] * 24
    assert sum(len(response.attempts) for response in responses) == received == 27
    assert most <= 4
    assert abs(budget.spent - 0.24) < 1e-9 and budget.reserved == 0
    assert [response.replayed for response in replayed] == ["run-1"] * 24
    assert sent_again == 0
    for response in responses:
        marks = response.marks
        assert marks.due and marks.started and marks.connected and marks.sent and marks.done
        assert marks.due <= marks.started <= marks.connected <= marks.sent <= marks.done
        assert all(attempt.waited >= 0.01 for attempt in response.attempts[1:])


def test_a_server_that_says_it_has_no_request_left_is_not_asked_before_it_has(kind: Kind) -> None:
    """Its rate-limit headers, over sockets: the second request comes once the limit is
    whole again."""

    async def answer(request: Received, peer: Peer) -> None:
        told = (
            "X-RateLimit-Limit-Requests: 1",
            "X-RateLimit-Remaining-Requests: 0",
            "X-RateLimit-Reset-Requests: 300ms",
        )
        await peer.send(whole(COMPLETION, "200 OK", "application/json", *told))

    async def work() -> list[Response]:
        async with serving(answer) as server, HttpClient({}, kind.open) as http:
            one = call(server.url, stream=False)
            one = replace(
                one, target=replace(one.target, limits=replace(one.target.limits, concurrency=1))
            )
            return await sending(Limit(http, tokens=lambda call: TokenNeed(9, 0)), one, one)

    responses = kind.run(work())
    assert [response.error for response in responses] == [None, None]
    first, second = (response.marks for response in responses)
    assert first.done and second.started and second.started >= first.done + 300_000_000


def test_a_layer_that_a_run_has_no_use_for_is_left_out() -> None:
    async def http(call: Call, slot: Slot) -> Response:
        return Response()

    def build(config: StackConfig, replay: Replay | None = None) -> Send:
        return build_send_stack(http, config, Stop(), replay=replay)

    assert isinstance(build(StackConfig()), Retry)
    assert isinstance(build(StackConfig(), Replay(mode="only")), Replay)
    assert not Replay().is_needed
