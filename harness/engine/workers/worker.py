"""The program of a pool's child process: runs one call after another until its parent's pipe
closes.

Only the standard library is imported, and the file is run by its path, so that a child starts in a
few hundredths of a second. A frame is four bytes of length (big endian) and that much JSON.
Requests come on a duplicate of stdin, results leave on one of stdout, which itself is turned to
stderr: nothing a function prints can pass for a result, and a result must repeat the call's secret
token. A thread reads the requests, so that the child ends with its parent even in the middle of a
call.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import queue
import re
import resource
import shutil
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CoroutineType, ModuleType, SimpleNamespace
from typing import Any, BinaryIO

HEADER = 4
MAX_RESULT = 1 << 20
MAX_FILE = 64 << 20
MORE_PROCESSES = 64
MAX_MESSAGE = 2_000
DEPTH = 10_000
"""Calls within calls of our own functions: about as many as the stack of a process has room for."""
_PACKAGES = str(Path(__file__).parents[3])

_modules: dict[tuple[str, int], ModuleType] = {}


def main() -> None:
    """Serve calls, each with the CPU seconds it may use. Arguments: the address space in bytes, and
    the temporary folder."""
    memory, folder = int(sys.argv[1]), sys.argv[2]
    incoming, results = _claim_pipes()
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(incoming, requests, folder), daemon=True).start()
    _set_limits(memory)
    process = os.getpid()
    _send_frame(results, {"ready": True})
    while True:
        request = json.loads(requests.get())
        _set_cpu_limit(request["seconds"])
        outcome = _run_call(request["name"], request["arguments"])
        if os.getpid() != process:  # a copy that the function made of this one
            os._exit(0)
        _send_frame(results, {"token": request["token"], **outcome})


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our own ends of stdin and stdout; in their places a function finds nothing to read, and
    stderr to print to."""
    incoming, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, results


def _read_requests(stream: BinaryIO, requests: queue.SimpleQueue[bytes], folder: str) -> None:
    while (header := stream.read(HEADER)) and len(header) == HEADER:
        requests.put(stream.read(int.from_bytes(header, "big")))
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)  # the parent is gone: so is everything a call started


def _send_frame(results: BinaryIO, result: dict[str, Any]) -> None:
    frame = json.dumps(result, allow_nan=False).encode()
    results.write(len(frame).to_bytes(HEADER, "big") + frame)
    results.flush()


# ── Limits ────────────────────────────────────────────────────────────────────────────────────────


def _set_limits(memory: int) -> None:
    """Set what the system lets us set; macOS refuses some of these."""
    _set_rlimit(resource.RLIMIT_AS, memory)
    _set_rlimit(resource.RLIMIT_FSIZE, MAX_FILE)
    _set_rlimit(resource.RLIMIT_CORE, 0)
    if (tasks := _count_tasks()) is not None:
        _set_rlimit(resource.RLIMIT_NPROC, tasks + MORE_PROCESSES)


def _set_cpu_limit(seconds: int) -> None:
    """Allow this call that much CPU time on top of what was used: it bounds a call whose parent was
    killed, too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    _set_rlimit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + seconds + 1, hard)


def _set_rlimit(limit: int, soft: int, hard: int | None = None) -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(limit, (soft, soft if hard is None else hard))


def _count_tasks() -> int | None:
    """How many threads the system runs; the process limit counts all of a user's, so ours must lie
    above that."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
    except (OSError, IndexError, ValueError):
        return None


# ── Calls ─────────────────────────────────────────────────────────────────────────────────────────


def _run_call(name: str, arguments: str) -> dict[str, Any]:
    """What the call returned as JSON text, or the error it ended with."""
    try:
        with warnings.catch_warnings(action="ignore"):
            content = json.dumps(_call_function(name, json.loads(arguments)), allow_nan=False)
    except BaseException as raised:  # noqa: BLE001 - sys.exit() and KeyboardInterrupt are a function's errors, not ours
        return {"error": _describe_error(raised)}
    if len(content) > MAX_RESULT:
        return {"error": f"it returned {len(content):,} bytes of JSON, more than {MAX_RESULT:,}"}
    return {"content": content}


class GradedAnswer(SimpleNamespace):
    """What a Python grader is given: docs/graders.md lists its attributes."""


def _call_function(name: str, arguments: Any) -> Any:
    kind, _, rest = name.partition(":")
    if kind == "regex":
        return _search_pattern(**arguments)
    if kind == "harness":
        return _own_function(rest)(**arguments)
    if kind not in ("python", "tool"):
        raise ValueError(f"there is no function {name!r}")
    path, _, function = rest.rpartition(":")
    with _neighbour_imports(Path(path)):
        called = _find_function(path, function)
        return (
            called(GradedAnswer(**arguments))
            if kind == "python"
            else _await_if_coroutine(called(**arguments))
        )


def _await_if_coroutine(value: Any) -> Any:
    """What an async function returns in the end; anything else as it is."""
    if not isinstance(value, CoroutineType):
        return value
    import asyncio  # noqa: PLC0415 - a child that needs none starts sooner

    return asyncio.run(value)


def _own_function(reference: str) -> Callable[..., Any]:
    """A function of this package, which is imported where one is called."""
    if _PACKAGES not in sys.path:
        sys.path.append(_PACKAGES)
    sys.setrecursionlimit(DEPTH)
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]


def _search_pattern(pattern: str, text: str, ignore_case: bool, full: bool) -> bool:
    compiled = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    return (compiled.fullmatch if full else compiled.search)(text) is not None


def _find_function(path: str, name: str) -> Callable[..., Any]:
    function = getattr(_load_module(path), name, None)
    if not callable(function):
        raise TypeError(f"{path} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def _load_module(path: str) -> ModuleType:
    """The user's file, imported once for each version of it."""
    key = (path, Path(path).stat().st_mtime_ns)
    if key not in _modules:
        _modules[key] = _import_file(path, f"_user_{len(_modules)}")
    return _modules[key]


def _import_file(path: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@contextmanager
def _neighbour_imports(path: Path) -> Iterator[None]:
    """Let the file import its neighbours, without their names staying behind for another folder's
    file to find."""
    before, folder = set(sys.modules), str(path.parent)
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(
                folder
            ) and not name.startswith("_user_"):
                del sys.modules[name]


def _describe_error(raised: BaseException) -> str:
    """`ValueError: no such queue (grader.py:12)`: what was raised, and the last line of the user's
    code it passed through."""
    frames = [
        frame for frame in traceback.extract_tb(raised.__traceback__) if frame.filename != __file__
    ]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    message = f"{type(raised).__name__}: {_error_message(raised)}"
    return message[:MAX_MESSAGE] + "…" * (len(message) > MAX_MESSAGE) + place


def _error_message(raised: BaseException) -> str:
    try:
        return str(raised)
    except Exception:  # noqa: BLE001 - the user's exception may not even be printable
        return "(its message could not be read)"


if __name__ == "__main__":
    main()
