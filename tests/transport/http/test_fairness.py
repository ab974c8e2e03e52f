"""Tasks whose answers came together go on a few at a time, so that the event loop gets to its sockets in between."""

from __future__ import annotations

import asyncio

from harness.transport.http.fairness import FairQueue


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
