"""The moving deadline, in simulated time."""

from __future__ import annotations

import asyncio

import pytest

from harness.transport.watch import Watch
from tests.transport.simulated import SECOND, now_ns, simulate


class Deadline:
    """A deadline somebody moves."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


async def outlasted(deadline: Deadline, move_to: float, *, at: float, look: bool) -> float:
    """The second at which a block ends that would last for ever, its deadline being moved at second `at`."""
    watch = Watch(deadline)

    def move() -> None:
        deadline.at = move_to
        if look:
            watch.look()

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
        with Watch(Deadline(5)) as watch:
            await asyncio.sleep(1)
        await asyncio.sleep(9)
        assert not watch.expired
        return now_ns() / SECOND

    assert simulate(work()) == pytest.approx(10)


def test_a_cancellation_from_outside_stays_one() -> None:
    async def watched() -> None:
        with Watch(Deadline(5)):
            await asyncio.Event().wait()

    async def work() -> bool:
        task = asyncio.ensure_future(watched())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert simulate(work())
