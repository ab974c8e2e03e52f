"""Runs the user's Python code in this process: imports its file, runs it in a thread, describes
what it raises.

A thread cannot be ended from outside: one that overruns its time is left alone, and does not keep
the process from ending.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")

LONGEST = 1_000
"""Characters kept of what the user's code says it raised."""

_PACKAGE = str(Path(__file__).parents[2])
_names = (f"_harness_own_{number}" for number in count())


def import_file(path: Path) -> ModuleType:
    """The file as a module of its own; its folder stays on the path, so that it finds its
    neighbours whenever it looks.

    Raises whatever the file does.
    """
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


async def run_in_thread(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """What `work` returns or raises, run in a thread that neither waits for others nor is waited
    for when the process ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[T | None, BaseException | None]] = loop.create_future()

    def settle(outcome: tuple[T | None, BaseException | None]) -> None:
        if not done.done():
            done.set_result(outcome)

    def run() -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = work(), None
        except BaseException as raised:  # noqa: BLE001 - whatever the user's code raises is its answer
            outcome = None, raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name="harness-own-code", daemon=True).start()
    return await done


def describe_error(raised: BaseException) -> str:
    """`ValueError: no such order (app.py:12)`: what was raised, and the last line it passed through
    outside this package."""
    frames = [
        frame
        for frame in traceback.extract_tb(raised.__traceback__)
        if not frame.filename.startswith((_PACKAGE, "<"))
    ]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    try:
        message = str(raised)
    except Exception:  # noqa: BLE001 - the user's exception may not even be printable
        message = "(its message could not be read)"
    said = f"{type(raised).__name__}: {message}"
    return (said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…") + place
