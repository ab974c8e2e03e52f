"""Performs the calls that flows ask for: in the pool of children, or in this process for a function the suite trusts.

A trusted function can read this process's memory, API keys included, and cannot be killed: one that overruns its time is given
up, and its thread is left to end by itself.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.engine.drive import CallTool
from harness.engine.pool import Pool
from harness.flow import FunctionCall
from harness.model import Error, ToolCall, ToolResult


def caller(pool: Pool) -> CallTool:
    """What performs a call: inline where it is trusted, else in `pool`."""

    async def call(need: ToolCall | FunctionCall) -> ToolResult:
        if isinstance(need, FunctionCall) and need.trusted:
            return await _inline(need)
        return await pool.call(need)

    return call


async def _inline(call: FunctionCall) -> ToolResult:
    try:
        async with asyncio.timeout(call.timeout):
            value = await _returned(call)
        return ToolResult(call.id, json.dumps(value, allow_nan=False))
    except TimeoutError:
        message = f"it took longer than {call.timeout:g} s and was given up"
        return ToolResult(call.id, "", Error("tool", "timeout", message))
    except Exception as raised:  # noqa: BLE001 - the tool's error is the model's to know, not the end of the run
        return ToolResult(call.id, "", Error("tool", "raised", f"{type(raised).__name__}: {raised}"))


async def _returned(call: FunctionCall) -> Any:
    path, _, name = call.function.rpartition(":")
    function: Callable[..., Any] = getattr(_module(path), name)
    value = await asyncio.to_thread(function, **json.loads(call.arguments))
    return await value if inspect.isawaitable(value) else value


@lru_cache
def _module(path: str) -> ModuleType:
    """The user's file, imported once, with its neighbours in reach."""
    name = f"_tools_{Path(path).stem}_{abs(hash(path)):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    sys.path.append(str(Path(path).parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(Path(path).parent))
    return module
