"""Tokens per minute in simulated time: charged by an estimate, settled on what was used, held in
every window of 60 s."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from msgspec.structs import replace

from harness.model import Call, Response, Usage
from harness.transport.middleware.limit import Limit
from harness.transport.middleware.quota import WINDOW, TokenNeed
from tests.transport.calling import sending
from tests.transport.simulated import CLOCK, SECOND, Server, broken, calling, ok, simulate

INPUT = 40


def used(output: int, input: int = INPUT) -> Response:
    """An answer that reports these tokens."""
    return replace(ok(), usage=Usage(input=input, output=output))


def asked(answers: Callable[[int], Response], need: TokenNeed, tpm: int, count: int) -> Server:
    """The server after `count` calls, 16 in flight, each answered after a second."""
    server = Server(lambda call, number: answers(number), seconds=1)
    limit = Limit(server, tokens=lambda call: need, clock=CLOCK)
    call = calling(concurrency=16, tpm=tpm)
    simulate(sending_all(limit, *[call] * count))
    return server


async def sending_all(limit: Limit, *calls: Call) -> list[Response]:
    return await sending(limit, *calls)


def worst_minute(server: Server, tokens: Callable[[int], int]) -> int:
    """The most tokens that requests started within any 60 s used."""
    starts = [(start, tokens(number)) for number, start in enumerate(server.starts, 1)]
    return max(
        sum(size for at, size in starts if first <= at < first + WINDOW) for first, _ in starts
    )


@pytest.mark.parametrize("spread", [0, 20])
def test_without_a_limit_the_mean_answer_is_charged(spread: int) -> None:
    """Answers of about 60 tokens: the first goes alone, and no minute has more than the limit."""
    draw = Random(3)
    outputs = [60 + draw.randint(-spread, spread) for _ in range(60)]
    server = asked(
        lambda number: used(outputs[number - 1]), TokenNeed(INPUT, None), tpm=2_000, count=60
    )
    assert server.starts[1] >= SECOND
    assert worst_minute(server, lambda number: INPUT + outputs[number - 1]) <= 2_000 * 1.01
    assert server.starts[-1] < 1.15 * WINDOW * 60 * 100 / 2_000, "the limit is used"


def test_a_short_answer_gives_back_what_its_limit_was_charged() -> None:
    """`max_tokens: 4096`, answered with 20 tokens: unsettled, that would be five a minute."""
    server = asked(lambda number: used(20), TokenNeed(INPUT, 4_096), tpm=20_000, count=100)
    assert server.starts[-1] < WINDOW
    assert worst_minute(server, lambda _: INPUT + 20) <= 20_000


def test_input_that_was_underestimated_is_charged_as_it_is_counted() -> None:
    server = asked(lambda number: used(20, input=60), TokenNeed(INPUT, 20), tpm=4_000, count=120)
    assert worst_minute(server, lambda _: 80) <= 4_000


def test_a_refused_request_used_nothing_and_one_without_a_report_what_it_was_charged() -> None:
    for response, minutes in ((broken(400, "bad_request"), 0), (broken(None, "reset"), 2)):
        server = asked(lambda _, it=response: it, TokenNeed(100, 900), tpm=1_000, count=3)  # type: ignore[misc]
        assert server.starts[-1] // WINDOW == minutes
