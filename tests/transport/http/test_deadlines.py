"""The moving deadline, in simulated time."""

from __future__ import annotations

import asyncio

import pytest

from harness.transport.http.deadlines import DeadlineScheduler
from tests.transport.simulated import SECOND, now_ns, simulate


class Deadline:
    """A deadline somebody moves."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


async def outlasted(deadline: Deadline, move_to: float, *, at: float, look: bool) -> float:
    """The second at which a block ends that would last for ever, its deadline being moved at second `at`."""
    watch = DeadlineScheduler().watch_until(deadline)

    def move() -> None:
        deadline.at = move_to
        if look:
            watch.check_deadline()

    asyncio.get_running_loop().call_at(at, move)
    with pytest.raises(TimeoutError), watch:
        await asyncio.Event().wait()
    assert watch.expired
    return now_ns() / SECOND


def test_a_deadline_that_moves_away_needs_no_word() -> None:
    assert simulate(outlasted(Deadline(5), 9, at=2, look=False)) == pytest.approx(9)


def test_one_that_comes_nearer_is_looked_at() -> None:
    assert simulate(outlasted(Deadline(5), 3, at=2, look=True)) == pytest.approx(3)


def test_a_block_that_ends_in_time_leaves_no_timer() -> None:
    async def work() -> float:
        with DeadlineScheduler().watch_until(Deadline(5)) as watch:
            await asyncio.sleep(1)
        await asyncio.sleep(9)
        assert not watch.expired
        return now_ns() / SECOND

    assert simulate(work()) == pytest.approx(10)


def test_a_cancellation_from_outside_stays_one() -> None:
    async def watched() -> None:
        with DeadlineScheduler().watch_until(Deadline(5)):
            await asyncio.Event().wait()

    async def work() -> bool:
        task = asyncio.ensure_future(watched())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert simulate(work())


def test_many_blocks_each_end_at_their_own_deadline() -> None:
    async def outlast(watches: DeadlineScheduler, seconds: float) -> tuple[float, float]:
        with pytest.raises(TimeoutError), watches.watch_until(Deadline(seconds)):
            await asyncio.Event().wait()
        return seconds, now_ns() / SECOND

    async def work() -> list[tuple[float, float]]:
        watches = DeadlineScheduler()
        tasks = [asyncio.ensure_future(outlast(watches, seconds)) for seconds in (7, 3, 11, 3, 5)]
        await asyncio.sleep(4)  # a nearer one than the timer stands at, and one that is over before it rings
        tasks.append(asyncio.ensure_future(outlast(watches, 4.5)))
        with watches.watch_until(Deadline(4.25)):
            await asyncio.sleep(0.125)
        return await asyncio.gather(*tasks)

    ended = simulate(work())
    assert [at for _, at in ended] == pytest.approx([seconds for seconds, _ in ended])


def test_deadlines_of_a_second_loop_are_kept_as_well() -> None:
    watches = DeadlineScheduler()

    async def outlasted() -> float:
        with pytest.raises(TimeoutError), watches.watch_until(Deadline(5)):
            await asyncio.Event().wait()
        return now_ns() / SECOND

    async def in_time() -> None:
        with watches.watch_until(Deadline(3)):
            await asyncio.sleep(1)

    simulate(in_time())
    assert simulate(outlasted()) == pytest.approx(5)
