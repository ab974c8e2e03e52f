"""Trials are released so that the event loop gets to everything else, whatever they do and however
many are passed over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from harness.engine import scheduler
from harness.engine.progress import Tally
from harness.engine.scheduler import PREPARED_AT_ONCE, SKIPS_PER_TURN, run_closed_loop
from harness.model import Identity, Limits, Request, Target, Trial
from harness.transport.middleware.stop import Stop

COUNT = 500
TARGET = Target("m", "openai", "tiny", "a", "http://127.0.0.1:1/v1", limits=Limits(concurrency=64))


def trials(count: int = COUNT, prepared: list[str] | None = None) -> Iterator[Trial]:
    for number in range(count):
        if prepared is not None:
            prepared.append(str(number))
        yield Trial(Identity("e", str(number), "p", "m", {}, 0), str(number), Request())


def per_turn(
    source: Iterator[Trial], skip: Callable[[str], bool], owed: int
) -> tuple[list[str], int]:
    """The keys of the trials performed, none of which waits; and the most of them in one turn of
    the event loop."""

    async def work() -> tuple[list[str], int]:
        loop, performed, seen, most = asyncio.get_running_loop(), [], 0, 0

        def turn() -> None:
            nonlocal seen, most
            most, seen = max(most, len(performed) - seen), len(performed)
            beat.append(loop.call_soon(turn))

        async def perform(trial: Trial) -> None:
            performed.append(trial.key)

        beat = [loop.call_soon(turn)]
        await run_closed_loop(TARGET, source, skip, perform, Tally(planned=owed), Stop())
        beat[-1].cancel()
        return performed, most

    return asyncio.run(work())


def test_trials_that_never_wait_let_the_event_loop_have_its_turns() -> None:
    performed, most = per_turn(trials(), lambda key: False, COUNT)
    assert performed == [str(number) for number in range(COUNT)]
    assert most <= PREPARED_AT_ONCE


def test_trials_that_are_passed_over_do_so_too_however_many_workers_there_are() -> None:
    asked: list[int] = []
    prepared: list[str] = []

    def skip(key: str) -> bool:
        return int(key) % 5_000 != 4_999

    async def work() -> None:
        loop = asyncio.get_running_loop()

        def turn() -> None:
            asked.append(len(prepared))
            beat.append(loop.call_soon(turn))

        async def perform(trial: Trial) -> None:
            return

        beat = [loop.call_soon(turn)]
        await run_closed_loop(
            TARGET, trials(40_000, prepared), skip, perform, Tally(planned=200), Stop()
        )
        beat[-1].cancel()

    asyncio.run(work())
    assert len(prepared) == 40_000
    assert max(later - earlier for earlier, later in pairwise(asked)) <= SKIPS_PER_TURN + 1


def test_a_trial_that_cannot_be_prepared_takes_no_other_with_it() -> None:
    def broken() -> Iterator[Trial]:
        yield from trials(PREPARED_AT_ONCE + 3)
        raise ValueError("no such image")

    performed: list[str] = []

    async def perform(trial: Trial) -> None:
        performed.append(trial.key)

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(
            run_closed_loop(
                TARGET, broken(), lambda key: False, perform, Tally(planned=COUNT), Stop()
            )
        )
    assert raised.group_contains(ValueError, match="no such image")
    assert performed == [str(number) for number in range(PREPARED_AT_ONCE + 3)]


def test_what_takes_long_to_prepare_is_prepared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MAX_PREPARING_SECONDS", 0.0)
    prepared: list[str] = []
    ahead: list[int] = []

    async def perform(trial: Trial) -> None:
        ahead.append(len(prepared) - int(trial.key))

    asyncio.run(
        run_closed_loop(
            TARGET,
            trials(COUNT, prepared),
            lambda key: False,
            perform,
            Tally(planned=COUNT),
            Stop(),
        )
    )
    assert set(ahead) == {1}
