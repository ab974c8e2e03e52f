"""Answered trials go on a few at a time, so that the event loop gets to its sockets in between."""

from __future__ import annotations

import asyncio

from harness.engine.pace import Turns


async def turns_taken(count: int, at_once: int) -> list[int]:
    """In which turn of the loop each of `count` tasks that came together went on."""
    turns, turn, over, taken = Turns(at_once), 0, False, []

    def begin() -> None:
        nonlocal turn
        turn += 1
        if not over:
            asyncio.get_running_loop().call_soon(begin)

    async def trial() -> None:
        await turns.take()
        taken.append(turn)

    tasks = [asyncio.ensure_future(trial()) for _ in range(count)]
    begin()
    await asyncio.gather(*tasks)
    over = True
    return taken


def test_no_turn_lets_more_go_on_than_it_may() -> None:
    taken = asyncio.run(turns_taken(10, at_once=3))
    assert len(taken) == 10
    assert max(taken.count(turn) for turn in taken) <= 3
    assert taken == sorted(taken)


def test_who_comes_alone_does_not_wait() -> None:
    async def alone() -> bool:
        task = asyncio.ensure_future(Turns().take())
        await asyncio.sleep(0)
        return task.done()

    assert asyncio.run(alone())


def test_who_was_cancelled_while_waiting_takes_nobodys_place() -> None:
    async def cancelled() -> list[bool]:
        turns = Turns(1)
        tasks = [asyncio.ensure_future(turns.take()) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[2].cancel()
        done, _ = await asyncio.wait(tasks, timeout=5)
        return [task in done and not task.cancelled() for task in tasks]

    assert asyncio.run(cancelled()) == [True, False, False, True]
