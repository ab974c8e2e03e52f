"""Slots and rates in simulated time: never more than allowed, never less than possible, and slow
together after a 429."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random

import pytest
from msgspec.structs import replace

from harness.model import Call, Response
from harness.transport.middleware.limit import Limit
from harness.transport.middleware.quota import TokenNeed
from harness.transport.middleware.traffic import Traffic
from tests.transport.calling import sending
from tests.transport.simulated import CLOCK, SECOND, Server, broken, calling, now_ns, ok, simulate


def limited(server: Server, *calls: Call, tokens: int = 1) -> list[Response]:
    limit = Limit(server, tokens=lambda call: TokenNeed(tokens, 0), clock=CLOCK)

    async def work() -> list[Response]:
        return await sending(limit, *calls)

    return simulate(work())


def test_no_more_in_flight_than_slots() -> None:
    server = Server(seconds=1)
    limited(server, *[calling(concurrency=3)] * 10)
    assert server.most == 3
    assert server.starts == [0] * 3 + [SECOND] * 3 + [2 * SECOND] * 3 + [3 * SECOND]


def test_targets_have_slots_of_their_own() -> None:
    server = Server(seconds=1)
    limited(server, *[calling("a", concurrency=1)] * 2, *[calling("b", concurrency=2)] * 2)
    assert server.starts == [0, 0, 0, SECOND]


def test_requests_per_minute_spread_the_starts() -> None:
    server = Server()
    limited(server, *[calling(concurrency=8, rpm=60)] * 5)
    assert server.starts == [0, SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]


def test_tokens_per_minute_count_what_is_reserved() -> None:
    server = Server()
    limited(server, *[calling(concurrency=8, tpm=600)] * 4, tokens=300)
    gaps = [later - earlier for earlier, later in pairwise(server.starts)]
    assert all(gap >= 29 * SECOND for gap in gaps)
    assert server.starts[2] >= 60 * SECOND


def test_targets_with_one_key_at_one_host_share_the_tightest_rate() -> None:
    one, two = (
        replace(
            calling(name, concurrency=8, rpm=rpm),
            target=replace(calling(name, rpm=rpm).target, api_key_env="KEY"),
        )
        for name, rpm in (("a", 120), ("b", 60))
    )
    server = Server()
    limited(server, one, two, one, two)
    assert server.starts[-1] >= 3 * SECOND


def test_the_slot_comes_first_so_that_waiting_for_it_cannot_bunch_starts() -> None:
    """With the rate first, the three that wait for the slot would all start together when it is
    free."""
    server = Server(lambda call, number: ok(), seconds=5)
    limited(server, *[calling(concurrency=2, rpm=60)] * 6)
    gaps = [later - earlier for earlier, later in pairwise(server.starts)]
    assert min(gaps) >= SECOND


def test_due_is_the_moment_of_the_slot_unless_the_schedule_said_otherwise() -> None:
    server = Server(seconds=1)
    limited(
        server,
        calling(concurrency=1, rpm=6),
        calling(concurrency=1, rpm=6),
        replace(calling(), due=-7),
    )
    assert server.slots == [(0, 0), (SECOND, 10 * SECOND), (-7, 20 * SECOND)]


def test_cancelling_those_who_wait_loses_no_slot() -> None:
    server = Server(seconds=1)
    limit = Limit(server, tokens=lambda call: TokenNeed(1, 0), clock=CLOCK)

    async def work() -> int:
        for _ in range(20):
            tasks = [asyncio.ensure_future(limit(calling(concurrency=2))) for _ in range(6)]
            await asyncio.sleep(
                1
            )  # two are done and hand their slots over; in this very moment all are cancelled
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        server.most = 0
        await sending(limit, *[calling(concurrency=2)] * 4)
        return server.most

    assert simulate(work()) == 2


def test_a_retry_after_of_most_stops_the_whole_target_then_starts_it_gently() -> None:
    """N01, N04: 16 slots, all told to wait 30 s; nobody starts before, then one by one, then at
    full speed again."""

    def answer(call: Call, number: int) -> Response:
        return broken(429, "rate_limited", retry_after=30) if now_ns() < 10 * SECOND else ok()

    server = Server(answer, seconds=0.05)
    limited(server, *[calling(concurrency=16)] * 16, *[calling(concurrency=16)] * 4000)
    before = [start for start in server.starts if start < 10 * SECOND]
    after = [start for start in server.starts if start >= 10 * SECOND]
    assert len(before) <= 40 and after[0] >= 30 * SECOND
    first_gaps = [later - earlier for earlier, later in pairwise(after[:20])]
    assert min(first_gaps) > 0 and len(set(first_gaps)) > 10
    tail = after[-320:]
    assert 320 / ((tail[-1] - tail[0]) / SECOND) == pytest.approx(16 / 0.05, rel=0.1)


def test_the_newest_retry_after_counts() -> None:
    """N03."""
    asked = {1: 1.0, 2: 5.0, 3: 30.0}
    server = Server(
        lambda call, number: broken(429, retry_after=asked[number]) if number in asked else ok()
    )
    limited(server, *[calling(concurrency=1)] * 4)
    gaps = [later - earlier for earlier, later in pairwise(server.starts)]
    assert [gap // SECOND for gap in gaps] == [1, 5, 30]


def test_a_storm_of_refusals_thins_out_the_starts() -> None:
    """N01: a server that takes 10 requests a second and refuses the rest, against 64 slots that
    would send thousands."""
    taken: list[int] = []

    def answer(call: Call, number: int) -> Response:
        if len([start for start in taken[-10:] if start > now_ns() - SECOND]) >= 10:
            return broken(429, "rate_limited")
        taken.append(now_ns())
        return ok()

    server = Server(answer, seconds=0.02)
    limited(server, *[calling(concurrency=64)] * 1500)
    refused = len(server.starts) - len(taken)
    elapsed = (server.starts[-1] - server.starts[0]) / SECOND
    assert elapsed > 40  # unthrottled: half a second
    assert refused < 0.75 * len(server.starts)
    assert len(taken) / elapsed > 5


def test_one_targets_slow_down_is_not_anothers() -> None:
    server = Server(
        lambda call, number: broken(429, retry_after=60) if call.target.name == "a" else ok()
    )
    limited(server, *[calling("a", concurrency=1)] * 2, *[calling("b", concurrency=1)] * 2)
    assert sorted(server.starts) == [0, 0, 0, pytest.approx(60 * SECOND, rel=0.01)]


def test_a_few_refusals_at_random_slow_nothing() -> None:
    """One in twenty, whatever the rate and what it asks to wait: capacity errors of a shared
    service, not a limit of ours."""
    draw = Random(1)
    for retry_after in (None, 1.0, 60.0):
        server = Server(
            lambda call, number, wait=retry_after: (  # type: ignore[misc]
                broken(429, "rate_limited", retry_after=wait) if draw.random() < 0.05 else ok()
            ),
            seconds=0.1,
        )
        limited(server, *[calling(concurrency=32)] * 3200)
        assert server.starts[-1] / SECOND < 1.2 * 3200 / 32 * 0.1


def test_a_target_with_a_limit_is_driven_close_to_it() -> None:
    """A server that takes 20 a second: most of that is used, and few requests are refused."""
    taken: list[int] = []

    def answer(call: Call, number: int) -> Response:
        if len([start for start in taken[-20:] if start > now_ns() - SECOND]) >= 20:
            return broken(429, "rate_limited")
        taken.append(now_ns())
        return ok()

    server = Server(answer, seconds=0.5)
    limited(server, *[calling(concurrency=64)] * 2000)
    late = [start for start in server.starts if start > 5 * SECOND]
    accepted = [start for start in taken if start > 5 * SECOND]
    seconds = (late[-1] - late[0]) / SECOND
    assert len(accepted) / seconds > 16
    assert len(accepted) / len(late) > 0.75


def test_after_a_storm_full_speed_is_back_within_seconds() -> None:
    server = Server(
        lambda call, number: broken(503) if SECOND < now_ns() < 6 * SECOND else ok(), seconds=0.1
    )
    limited(server, *[calling(concurrency=32)] * 4000)
    during = [start for start in server.starts if 3 * SECOND < start < 6 * SECOND]
    after = [start for start in server.starts if 13 * SECOND < start < 14 * SECOND]
    assert len(during) <= 6, "a server that refuses everything is asked once a second"
    assert len(after) == pytest.approx(320, rel=0.1)


def test_what_was_sent_and_refused_is_counted() -> None:
    """Of 80 attempts, a second's worth is refused; the slow-down ends with the recovery."""
    traffic = Traffic()
    server = Server(
        lambda call, number: broken(429, "rate_limited") if now_ns() < SECOND else ok(), seconds=0.1
    )
    limit = Limit(
        server, tokens=lambda call: TokenNeed(0, 0), clock=CLOCK, traffic={"tiny": traffic}
    )
    simulate(sending_all(limit, *[calling(concurrency=8)] * 80))
    recorded = traffic.to_record()
    assert (recorded.attempts, recorded.in_flight) == (80, 8)
    assert recorded.refusals == {"429": sum(start < 0.9 * SECOND for start in server.starts)}
    assert 2 < recorded.slowed < recorded.seconds < 12


async def sending_all(limit: Limit, *calls: Call) -> list[Response]:
    return await sending(limit, *calls)


def test_a_server_that_says_nothing_is_left_is_given_time_before_it_refuses() -> None:
    spent = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
    }
    server = Server(answer=lambda call, number: replace(ok(), headers=spent if number >= 3 else {}))
    limited(server, *[calling(concurrency=1)] * 6)
    gaps = [later - earlier for earlier, later in pairwise(server.starts)]
    assert gaps[:2] == [0, 0]
    assert all(gap >= SECOND for gap in gaps[2:])
    assert server.starts[-1] <= 5 * SECOND
