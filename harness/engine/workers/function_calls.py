"""Performs the calls that flows ask for: in the pool of children, or in this process for a function
the suite trusts.

A trusted function can read this process's memory, API keys included, and cannot be killed: one that
overruns its time is given up, and its thread is left to end by itself.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.engine.drive import CallTool
from harness.engine.workers.pool import WorkerPool
from harness.flows.base import FunctionCall
from harness.model import Error, ToolCall, ToolResult
from harness.transport.local.inline import describe_error, import_file, run_in_thread

_modules: dict[str, ModuleType] = {}
_importing = threading.Lock()


def build_tool_caller(pool: WorkerPool) -> CallTool:
    """What performs a call: inline where it is trusted, else in `pool`."""

    async def call(need: ToolCall | FunctionCall) -> ToolResult:
        if isinstance(need, FunctionCall) and need.trusted:
            return await _call_inline(need)
        return await pool.call(need)

    return call


async def _call_inline(call: FunctionCall) -> ToolResult:
    task, clock = asyncio.current_task(), asyncio.timeout(call.timeout)
    try:
        async with clock:
            value = await _await_value(call)
        return ToolResult(call.id, json.dumps(value, allow_nan=False))
    except asyncio.CancelledError as cancelled:
        if task is None or task.cancelling():
            raise
        return _failed_result(call, "raised", describe_error(cancelled))
    except (Exception, SystemExit) as raised:  # noqa: BLE001 - the tool's error is the model's to know, not the end of the run
        if isinstance(raised, TimeoutError) and clock.expired():
            return _failed_result(
                call, "timeout", f"it took longer than {call.timeout:g} s and was abandoned"
            )
        return _failed_result(call, "raised", describe_error(raised))


def _failed_result(call: FunctionCall, kind: str, message: str) -> ToolResult:
    return ToolResult(call.id, "", Error("tool", kind, message))


async def _await_value(call: FunctionCall) -> Any:
    value, raised = await run_in_thread(
        lambda: _load_function(call.function)(**json.loads(call.arguments))
    )
    if raised is not None:
        raise (
            raised
            if isinstance(raised, Exception | SystemExit)
            else RuntimeError(describe_error(raised))
        )
    return await value if inspect.isawaitable(value) else value


def _load_function(reference: str) -> Callable[..., Any]:
    """The function, from a file that is imported once."""
    path, _, name = reference.rpartition(":")
    with _importing:
        if path not in _modules:
            _modules[path] = import_file(Path(path))
    function: Callable[..., Any] = getattr(_modules[path], name)
    return function
