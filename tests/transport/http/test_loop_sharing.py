"""Deadlines that move, in simulated time; and tasks whose answers came together, which go on a few
at a time."""

from __future__ import annotations

import asyncio

import pytest

from harness.transport.http.loop_sharing import AttemptDeadline, DeadlineScheduler, FairQueue
from tests.transport.simulated import SECOND, now_ns, simulate


class Deadline:
    """A deadline somebody moves."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


async def outlasted(deadline: Deadline, move_to: float, *, at: float, look: bool) -> float:
    """The second at which a block ends that would last for ever, its deadline being moved at second
    `at`."""
    watch = AttemptDeadline(DeadlineScheduler(), deadline)

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
        with AttemptDeadline(DeadlineScheduler(), Deadline(5)) as watch:
            await asyncio.sleep(1)
        await asyncio.sleep(9)
        assert not watch.expired
        return now_ns() / SECOND

    assert simulate(work()) == pytest.approx(10)


def test_a_cancellation_from_outside_stays_one() -> None:
    async def watched() -> None:
        with AttemptDeadline(DeadlineScheduler(), Deadline(5)):
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
        with pytest.raises(TimeoutError), AttemptDeadline(watches, Deadline(seconds)):
            await asyncio.Event().wait()
        return seconds, now_ns() / SECOND

    async def work() -> list[tuple[float, float]]:
        watches = DeadlineScheduler()
        tasks = [asyncio.ensure_future(outlast(watches, seconds)) for seconds in (7, 3, 11, 3, 5)]
        await asyncio.sleep(
            4
        )  # a nearer one than the timer stands at, and one that is over before it rings
        tasks.append(asyncio.ensure_future(outlast(watches, 4.5)))
        with AttemptDeadline(watches, Deadline(4.25)):
            await asyncio.sleep(0.125)
        return await asyncio.gather(*tasks)

    ended = simulate(work())
    assert [at for _, at in ended] == pytest.approx([seconds for seconds, _ in ended])


def test_deadlines_of_a_second_loop_are_kept_as_well() -> None:
    watches = DeadlineScheduler()

    async def outlasted() -> float:
        with pytest.raises(TimeoutError), AttemptDeadline(watches, Deadline(5)):
            await asyncio.Event().wait()
        return now_ns() / SECOND

    async def in_time() -> None:
        with AttemptDeadline(watches, Deadline(3)):
            await asyncio.sleep(1)

    simulate(in_time())
    assert simulate(outlasted()) == pytest.approx(5)


# ── The fair queue ────────────────────────────────────────────────────────────────────────────────


async def turns_taken(count: int, at_once: int) -> list[int]:
    """In which turn of the loop each of `count` tasks that were woken together went on."""
    turns, turn, over, taken = FairQueue(at_once), 0, False, []
    loop = asyncio.get_running_loop()

    def begin() -> None:
        nonlocal turn
        turn += 1
        if not over:
            loop.call_soon(begin)

    async def trial(waiter: asyncio.Future[None]) -> None:
        await waiter
        taken.append(turn)

    waiters = [loop.create_future() for _ in range(count)]
    tasks = [asyncio.ensure_future(trial(waiter)) for waiter in waiters]
    await asyncio.sleep(0)
    begin()
    for waiter in waiters:
        turns.resume_task(waiter)
    await asyncio.gather(*tasks)
    over = True
    return taken


def test_no_turn_lets_more_go_on_than_it_may() -> None:
    taken = asyncio.run(turns_taken(10, at_once=3))
    assert len(taken) == 10
    assert max(taken.count(turn) for turn in taken) <= 3
    assert taken == sorted(taken)


def test_who_comes_alone_does_not_wait() -> None:
    async def alone() -> list[bool]:
        turns, woken = FairQueue(1), []
        for _ in range(3):  # one after the other, each with a turn to itself
            waiter = asyncio.get_running_loop().create_future()
            turns.resume_task(waiter)
            woken.append(waiter.done())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return woken

    assert asyncio.run(alone()) == [True, True, True]


def test_who_was_cancelled_while_waiting_takes_nobodys_place() -> None:
    async def woken() -> list[bool]:
        turns = FairQueue(1)
        waiters = [asyncio.get_running_loop().create_future() for _ in range(4)]
        for waiter in waiters:
            turns.resume_task(waiter)
        waiters[1].cancel()
        waiters[2].cancel()
        await asyncio.wait_for(waiters[3], timeout=5)
        return [waiter.done() and not waiter.cancelled() for waiter in waiters]

    assert asyncio.run(woken()) == [True, False, False, True]


def test_no_turn_goes_through_more_reads_than_it_may() -> None:
    async def gone_through() -> list[int]:
        turns, turn, loop = FairQueue(reads=3), 0, asyncio.get_running_loop()
        taken: list[int] = []
        for _ in range(8):
            turns.add_read(lambda: taken.append(turn), loop)
        while len(taken) < 8:
            await asyncio.sleep(0)
            turn += 1
        return taken

    taken = asyncio.run(gone_through())
    assert taken == sorted(taken)
    assert max(taken.count(turn) for turn in taken) == 3
