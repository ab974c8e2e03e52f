"""A function of the user's own, performed in this process: as a target it is trusted like any other code that is run.

A coroutine or an asynchronous generator runs on the loop; anything else in a thread of its own, made for the call, so that as
many run at once as there are slots. A thread cannot be ended from outside: one that overruns its time is left alone, and does
not keep the process from ending. What a generator yields is a piece of the answer; it is not asked for more once its time is
over.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import orjson

from harness.errors import UsageError
from harness.model import Call, Error, Target

_names = (f"_harness_target_{number}" for number in count())


class Listener(Protocol):
    """Takes an answer as it comes."""

    over: bool
    """Nobody listens any more."""

    def piece(self, value: Any) -> None:
        """A piece of a streamed answer."""

    def whole(self, value: Any) -> None:
        """The answer, at once."""


class Function:
    """The function of a python target. Raises UsageError where it cannot be imported."""

    def __init__(self, target: Target) -> None:
        self._name = target.model
        self._function = _imported(target)
        self._asynchronous = _is_asynchronous(self._function)

    async def perform(self, call: Call, listener: Listener) -> Error | None:
        """Call the function with the request, and tell `listener` what comes of it; the error it ended with, if any."""
        request = orjson.loads(call.wire.body)
        seconds = call.target.limits.timeouts.total
        clock = asyncio.timeout(seconds)
        try:
            async with clock:
                return await self._called(request, listener)
        except TimeoutError:
            if not clock.expired():
                raise
            return Error("target", "timeout_total", f"{self._name} had not answered after {seconds:g} s")

    async def _called(self, request: Any, listener: Listener) -> Error | None:
        if self._asynchronous:
            return await self._awaited(lambda: self._function(request), listener)
        left, raised = await _in_thread(lambda: _worked(self._function, request, listener))
        if raised is not None:
            return self._error(raised)
        return None if left is None else await self._awaited(lambda: left, listener)

    async def _awaited(self, made: Callable[[], Any], listener: Listener) -> Error | None:
        task = asyncio.current_task()
        try:
            value = made()
            if inspect.isawaitable(value):
                value = await value
            if isinstance(value, AsyncIterator):
                await _exhausted(value, listener)
            else:
                listener.whole(value)
        except asyncio.CancelledError as cancelled:
            if task is None or task.cancelling():
                raise
            return self._error(cancelled)
        except (Exception, SystemExit) as raised:  # noqa: BLE001 - whatever the user's code raises is its answer
            return self._error(raised)
        return None

    def _error(self, raised: BaseException) -> Error:
        return Error("target", "raised", f"{self._name} raised {_sentence(raised)}")


async def _exhausted(pieces: AsyncIterator[Any], listener: Listener) -> None:
    try:
        async for piece in pieces:
            listener.piece(piece)
    finally:
        if inspect.isasyncgen(pieces):
            await pieces.aclose()


def _worked(function: Callable[[Any], Any], request: Any, listener: Listener) -> tuple[Any, BaseException | None]:
    """In a thread: what has yet to be awaited, if that is what the function returned, and what was raised."""
    try:
        value = function(request)
        if inspect.isawaitable(value) or isinstance(value, AsyncIterator):
            return value, None
        if not isinstance(value, Iterator):
            listener.whole(value)
            return None, None
        for piece in value:
            if listener.over:
                break
            listener.piece(piece)
    except BaseException as raised:  # noqa: BLE001 - whatever the user's code raises is its answer
        return None, raised
    return None, None


async def _in_thread(work: Callable[[], tuple[Any, BaseException | None]]) -> tuple[Any, BaseException | None]:
    """What `work` returns, run in a thread that neither waits for others nor is waited for when the process ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def settle(outcome: tuple[Any, BaseException | None]) -> None:
        if not done.done():
            done.set_result(outcome)

    def run() -> None:
        outcome = work()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name="harness-target", daemon=True).start()
    return await done


def _is_asynchronous(function: Any) -> bool:
    """Whether calling it only makes something to await or iterate, which needs no thread."""
    return any(
        test(candidate)
        for candidate in (function, getattr(function, "__call__", None))  # noqa: B004 - its type does not matter, what it is does
        for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    )


# ── Importing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def folder_of(target: Target) -> Path:
    """Where the target's files are: its suite's folder."""
    return Path(url2pathname(urlsplit(target.base_url).path))


def _imported(target: Target) -> Callable[[Any], Any]:
    file, _, name = target.model.rpartition(":")
    path = (folder_of(target) / file).resolve()
    try:
        function = getattr(_module(path), name, None)
    except (Exception, SystemExit) as raised:
        raise UsageError(f"target {target.name!r}: {path} cannot be imported: {_sentence(raised)}") from raised
    if not callable(function):
        raise UsageError(f"target {target.name!r}: {path} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def _module(path: Path) -> ModuleType:
    """The file as a module of its own; its folder stays on the path, so that it finds its neighbours whenever it looks."""
    name = next(_names)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _sentence(raised: BaseException) -> str:
    """`ValueError: no such order (app.py:12)`: what was raised, and the last line it passed through outside this package."""
    frames = [frame for frame in traceback.extract_tb(raised.__traceback__) if frame.filename != __file__]
    frames = [frame for frame in frames if not frame.filename.startswith("<")]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    try:
        message = str(raised)
    except Exception:  # noqa: BLE001 - the user's exception may not even be printable
        message = "(its message could not be read)"
    return f"{type(raised).__name__}: {message}"[:1000] + place
