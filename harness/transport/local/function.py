"""A user's function as a target, run in this process: it is trusted like any other code that is
run.

A coroutine or an asynchronous generator runs on the loop; anything else in a new thread for each
call, so that as many run concurrently as there are slots. What a generator yields is a piece of the
answer; after the time limit it is not resumed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import orjson

from harness.errors import UsageError
from harness.model import Call, Error, Target
from harness.transport.local.inline import describe_error, import_file, run_in_thread


class ResultListener(Protocol):
    """Takes an answer as it comes."""

    over: bool
    """Nobody listens any more."""

    def piece(self, value: Any) -> None:
        """A piece of a streamed answer."""

    def whole(self, value: Any) -> None:
        """The answer, when it is complete."""


class Function:
    """The function of a python target. Raises UsageError where it cannot be imported."""

    def __init__(self, target: Target) -> None:
        self._name = target.model
        self._function = _import_function(target)
        self._asynchronous = _is_asynchronous(self._function)

    async def perform(self, call: Call, listener: ResultListener) -> Error | None:
        """Call the function with the request, and tell `listener` what comes of it; the error it
        ended with, if any."""
        request = orjson.loads(call.wire.body)
        seconds = call.target.limits.timeouts.total
        clock = asyncio.timeout(seconds)
        try:
            async with clock:
                return await self._call_function(request, listener)
        except TimeoutError:
            if not clock.expired():
                raise
            return Error(
                "target", "timeout_total", f"{self._name} did not answer within {seconds:g} s"
            )

    async def _call_function(self, request: Any, listener: ResultListener) -> Error | None:
        if self._asynchronous:
            return await self._await_result(lambda: self._function(request), listener)
        left, raised = await run_in_thread(
            lambda: _call_in_thread(self._function, request, listener)
        )
        if raised is not None:
            return self._error(raised)
        return None if left is None else await self._await_result(lambda: left, listener)

    async def _await_result(
        self, made: Callable[[], Any], listener: ResultListener
    ) -> Error | None:
        task = asyncio.current_task()
        try:
            value = made()
            if inspect.isawaitable(value):
                value = await value
            if isinstance(value, AsyncIterator):
                await _read_pieces(value, listener)
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
        return Error("target", "raised", f"{self._name} raised {describe_error(raised)}")


async def _read_pieces(pieces: AsyncIterator[Any], listener: ResultListener) -> None:
    try:
        async for piece in pieces:
            listener.piece(piece)
    finally:
        if inspect.isasyncgen(pieces):
            await pieces.aclose()


def _call_in_thread(function: Callable[[Any], Any], request: Any, listener: ResultListener) -> Any:
    """In a thread: what has yet to be awaited, if that is what the function returned."""
    value = function(request)
    if inspect.isawaitable(value) or isinstance(value, AsyncIterator):
        return value
    if not isinstance(value, Iterator):
        listener.whole(value)
        return None
    for piece in value:
        if listener.over:
            break
        listener.piece(piece)
    return None


def _is_asynchronous(function: Any) -> bool:
    """Whether calling it only makes something to await or iterate, which needs no thread."""
    return any(
        test(candidate)
        for candidate in (function, getattr(function, "__call__", None))  # noqa: B004 - its type does not matter, what it is does
        for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    )


# ── Importing ─────────────────────────────────────────────────────────────────────────────────────


def folder_of(target: Target) -> Path:
    """Where the target's files are: its suite's folder."""
    return Path(url2pathname(urlsplit(target.base_url).path))


def _import_function(target: Target) -> Callable[[Any], Any]:
    file, _, name = target.model.rpartition(":")
    path = (folder_of(target) / file).resolve()
    try:
        function = getattr(import_file(path), name, None)
    except (Exception, SystemExit) as raised:
        raise UsageError(
            f"target {target.name!r}: {path} cannot be imported: {describe_error(raised)}"
        ) from raised
    if not callable(function):
        raise UsageError(f"target {target.name!r}: {path} has no function {name!r}")
    return function  # type: ignore[no-any-return]
