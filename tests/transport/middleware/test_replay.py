"""Replay: the same call finds its answer, any other does not, and nothing is used twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.model import (
    Attempt,
    Call,
    Cost,
    EncodedRequest,
    Error,
    Exchange,
    Marks,
    Message,
    Response,
    Target,
    ToolCall,
)
from harness.transport.middleware.replay import Replay, StoredExchange, encode_stored, replay_key
from tests.transport.simulated import calling, ok

CALL = calling()


class Live:
    """The layer below: counts what reaches it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def __call__(self, call: Call) -> Response:
        self.calls.append(call)
        return ok("live")


def replaying(
    exchanges: list[StoredExchange], *calls: Call, **options: Any
) -> tuple[list[str], Replay]:
    """The texts of the answers to `calls`, one after the other."""
    layer = Replay(exchanges, **options).around(Live())

    async def work() -> list[str]:
        return [(await layer(call)).text for call in calls]

    return asyncio.run(work()), layer


# ── The key ───────────────────────────────────────────────────────────────────────────────────────


def with_target(call: Call, **changes: Any) -> Call:
    return replace(call, target=replace(call.target, **changes))


def with_wire(call: Call, **changes: Any) -> Call:
    return replace(call, wire=replace(call.wire, **changes))


@pytest.mark.parametrize(
    "changed",
    [
        with_target(CALL, provider="cloudflare"),
        with_target(CALL, address="${OTHER}"),
        with_wire(CALL, path=CALL.wire.path + "/"),
        with_wire(CALL, method="PUT"),
        with_wire(CALL, headers=(*CALL.wire.headers, ("x-version", "2"))),
        replace(CALL, repeat=1),
    ],
    ids=["provider", "address", "path", "method", "header", "repeat"],
)
def test_another_request_is_another_key(changed: Call) -> None:
    """C01, C02."""
    assert replay_key(changed) != replay_key(CALL)


@given(st.data())
def test_any_changed_byte_of_the_body_is_another_key(data: st.DataObject) -> None:
    body = bytearray(CALL.wire.body)
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    assert replay_key(with_wire(CALL, body=bytes(body))) != replay_key(CALL)


@pytest.mark.parametrize(
    "changed",
    [
        replace(CALL, key="other trial"),
        replace(CALL, position="t5"),
        replace(CALL, due=5, attempt=3),
        with_target(CALL, name="renamed"),
        with_target(CALL, base_url="http://127.0.0.1:4711/v1"),
        with_target(CALL, api_key_env="OTHER_KEY"),
        with_wire(CALL, headers=(*CALL.wire.headers, ("Authorization", "Bearer sk-1"))),
        with_wire(CALL, headers=(*CALL.wire.headers, ("cf-aig-authorization", "Bearer sk-1"))),
        with_wire(CALL, headers=CALL.wire.headers[::-1]),
    ],
    ids=[
        "trial",
        "position",
        "time",
        "name",
        "resolved port",
        "API key's name",
        "API key",
        "gateway key",
        "header order",
    ],
)
def test_what_does_not_change_the_answer_does_not_change_the_key(changed: Call) -> None:
    assert replay_key(changed) == replay_key(CALL)


words = st.text(max_size=4)


@given(st.tuples(words, words, words), st.tuples(words, words, words))
def test_neighbouring_fields_do_not_run_together(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    def key(fields: tuple[str, str, str]) -> bytes:
        provider, address, path = fields
        return replay_key(
            with_wire(with_target(CALL, provider=provider, address=address), path=path)
        )

    assert (key(one) == key(other)) == (one == other)


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────


def test_a_stored_answer_is_used_once_and_flagged() -> None:
    layer = Replay([StoredExchange("run-1", CALL, ok("stored"))]).around(Live())

    async def work() -> list[Response]:
        return [await layer(CALL), await layer(CALL)]

    first, second = asyncio.run(work())
    assert (first.text, first.replayed) == ("stored", "run-1")
    assert first.attempts == ok().attempts  # its own timings, whatever they are worth
    assert (second.text, second.replayed) == ("live", None)
    assert (layer.reused, layer.missed) == (1, 1)


def test_three_votes_stay_three() -> None:
    votes = [
        StoredExchange("run-1", replace(CALL, position=f"g0.{place}"), ok(f"vote {place}"))
        for place in range(3)
    ]
    texts, _ = replaying(votes, *[replace(CALL, position=f"g0.{place}") for place in range(3)])
    assert texts == ["vote 0", "vote 1", "vote 2"]


def test_the_same_trials_answer_is_used_first() -> None:
    exchanges = [
        StoredExchange("run-1", replace(CALL, key=key), ok(key)) for key in ("a", "b", "c")
    ]
    texts, _ = replaying(exchanges, *[replace(CALL, key=key) for key in ("c", "a", "x", "y")])
    assert texts == ["c", "a", "b", "live"]


def test_repeats_do_not_share_an_answer() -> None:
    """C02."""
    texts, _ = replaying(
        [StoredExchange("run-1", CALL, ok("stored"))],
        *[replace(CALL, repeat=repeat) for repeat in (1, 2, 0)],
    )
    assert texts == ["live", "live", "stored"]


TOOL_CALL = Response(
    Message("assistant", tool_calls=(ToolCall("1", "f", "{}"),)), finish_reason="tool_calls"
)


@pytest.mark.parametrize(
    ("response", "used"),
    [
        (ok("stored"), True),
        (TOOL_CALL, True),
        (ok(""), False),
        (Response(), False),
        (replace(ok("half"), error=Error("provider", "truncated", "cut", retryable=True)), False),
        (Response(error=Error("provider", "bad_request", "no")), False),
    ],
    ids=["answer", "tool call", "empty", "nothing", "truncated", "refused"],
)
def test_only_complete_answers_are_used(response: Response, used: bool) -> None:
    """C03."""
    _, layer = replaying([StoredExchange("run-1", CALL, response)], CALL)
    assert layer.reused == used


def test_a_response_that_was_itself_replayed_names_its_origin() -> None:
    layer = Replay([StoredExchange("run-2", CALL, replace(ok(), replayed="run-1"))]).around(Live())
    assert asyncio.run(_one(layer, CALL)).replayed == "run-1"


async def _one(layer: Replay, call: Call) -> Response:
    return await layer(call)


# ── A run that is resumed ─────────────────────────────────────────────────────────────────────────


def test_a_resumed_run_takes_its_own_back_as_it_is() -> None:
    refused = Response(error=Error("provider", "bad_request", "no"))
    for own in (ok("mine"), ok(""), refused):
        layer = Replay([StoredExchange("run-1", CALL, own)], own="run-1").around(Live())
        assert asyncio.run(_one(layer, CALL)) is own


def test_what_a_resumed_run_owes_is_sent_again() -> None:
    owed = Response(error=Error("provider", "overloaded", "no", retryable=True))
    texts, _ = replaying([StoredExchange("run-1", CALL, owed)], CALL, own="run-1")
    assert texts == ["live"]


def test_a_resumed_runs_answer_belongs_to_its_own_trial() -> None:
    texts, _ = replaying(
        [StoredExchange("run-1", CALL, ok("mine"))], replace(CALL, key="other"), CALL, own="run-1"
    )
    assert texts == ["live", "mine"]


# ── Without a network ─────────────────────────────────────────────────────────────────────────────


def test_a_miss_is_an_error_and_sends_nothing() -> None:
    live = Live()
    replay = Replay(mode="only")
    response = asyncio.run(_one(replay.around(live), CALL))
    assert (replay.reused, replay.missed) == (0, 1)
    assert response.error is not None
    assert (response.error.boundary, response.error.kind) == ("transport", "replay_miss")
    assert "the recording has no answer" in response.error.message
    assert live.calls == []


def test_an_exchange_from_disk_answers_the_call_it_came_from() -> None:
    target: Target = CALL.target
    exchange = Exchange("t0", "target", target.name, CALL.request, ok("stored"), Cost(priced=0.1))
    kept = encode_stored("run-1", "k", 0, target, exchange)
    assert kept and replay_key(kept.call) == replay_key(CALL)
    edited = encode_stored(
        "run-1",
        "k",
        0,
        target,
        replace(exchange, request=replace(CALL.request, messages=(Message("user", "Ho"),))),
    )
    assert edited and replay_key(edited.call) != replay_key(CALL)


def test_an_exchange_nobody_could_send_today_answers_nothing() -> None:
    raw = Exchange(
        "t0",
        "target",
        CALL.target.name,
        replace(CALL.request, messages=(), prompt="Hi", raw=True),
        ok("stored"),
    )
    assert encode_stored("run-1", "k", 0, replace(CALL.target, provider="anthropic"), raw) is None


def test_marks_and_wire_are_what_they_were() -> None:
    kept = Response(Message("assistant", "x"), attempts=(Attempt(Marks(sent=5, done=9), 200),))
    assert isinstance(CALL.wire, EncodedRequest)
    assert asyncio.run(
        _one(Replay([StoredExchange("r", CALL, kept)]).around(Live()), CALL)
    ).marks == Marks(sent=5, done=9)
