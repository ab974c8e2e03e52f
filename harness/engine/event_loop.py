"""Runs a coroutine in an event loop of its own, and handles Ctrl-C, SIGTERM and SIGHUP in it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from harness.errors import HarnessError
from harness.transport.middleware.stop import Stop

GRACE = 10.0
"""Seconds that requests in flight get to finish after a first interrupt."""

T = TypeVar("T")


def run_blocking(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `work` to its end in an event loop of its own: in a thread where a loop already runs
    here, as in a notebook.

    An interrupt that comes to this thread cancels the work. Raises the first HarnessError of the
    tasks that ended it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _in_new_loop(work)
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def noted_work() -> T:
        if task := asyncio.current_task():
            tasks.append((asyncio.get_running_loop(), task))
        return await work()

    with ThreadPoolExecutor(1, "harness") as thread:
        running = thread.submit(_in_new_loop, noted_work)
        try:
            return running.result()
        except KeyboardInterrupt:  # a notebook's, which only this thread gets
            for loop, task in tasks:
                loop.call_soon_threadsafe(task.cancel)
            return running.result()


def _in_new_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    import uvloop  # noqa: PLC0415 — 10 ms that only a run needs

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work())
    except* HarnessError as group:
        raise _first_error(group) from None


def _first_error(group: BaseExceptionGroup[HarnessError]) -> BaseException:
    """The first of the errors that concurrent tasks raised: the others are its echoes."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Interruptible:
    """What signals do to a run: a first stops sending and lets what is in flight finish, for
    `GRACE` seconds; a second leaves now."""

    def __init__(self, stop: Stop, say: Callable[[str], None]) -> None:
        self._stop, self._say = stop, say
        self._task: asyncio.Task[None] | None = None

    async def run(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do the work, and return whether it was left before its end."""
        self._task = asyncio.create_task(work)
        try:
            await self._task
        except asyncio.CancelledError:
            return True
        return False

    def on_signal(self) -> None:
        """Handles a signal; `say` receives what the run is waiting for."""
        if self._stop.requested:
            self._leave()
            return
        self._say(
            f"stopping: waiting up to {GRACE:.0f} s for requests in flight; interrupt again to"
            " exit now"
        )
        self._stop.request("the run was interrupted")
        asyncio.get_running_loop().call_later(GRACE, self._leave)

    def _leave(self) -> None:
        if self._task is not None:  # done already: cancelling does nothing
            self._task.cancel()


@contextmanager
def interrupt_handling(stop: Stop, say: Callable[[str], None]) -> Iterator[Interruptible]:
    """Handle Ctrl-C, SIGTERM and SIGHUP (the terminal is gone) while the block lasts, in the main
    thread; then what handled them before does again."""
    run = Interruptible(stop, say)
    if threading.current_thread() is not threading.main_thread():
        yield run
        return
    loop = asyncio.get_running_loop()
    before = {
        each: handler
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(each)) != signal.SIG_IGN  # as `nohup` has it
    }
    for each in before:
        loop.add_signal_handler(each, run.on_signal)
    try:
        yield run
    finally:
        for each, handler in before.items():
            loop.remove_signal_handler(each)
            signal.signal(each, handler)
