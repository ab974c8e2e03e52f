"""Runs functions that must not run in this process, in a small pool of child processes that can be
killed.

For a user's Python graders and tools, and for patterns that need Python's `re`. A child has a
stripped environment (no API keys), an empty temporary folder as its home, limits on memory, CPU
time and file size, and its own session, so that one signal ends it with everything it started. It
is started at the first call that needs it and reused only for the same file, so that nothing one
file changes in its process (a decimal context, the working directory, a module) affects another; a
child that exceeds its time limit, dies, or writes anything unexpected is killed, and the next call
gets a new one. docs/graders.md says what this does not protect from.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from harness.engine.workers.worker import HEADER, MAX_RESULT
from harness.flows.base import FunctionCall
from harness.model import Boundary, Error, ToolCall, ToolResult

_PROGRAM: Final = Path(__file__).with_name("worker.py")
_START_SECONDS = 30.0
_OWN_SECONDS = {"regex": 2.0, "harness": 5.0}
"""The most that functions of ours may take, by the first word of their names."""
_MAX_IDLE = 16
_FRAME_LIMIT = 2 * MAX_RESULT + 32_768
_OUT_OF_TURN = "its process sent something other than a result"
_GONE = (
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    OSError,
)


class _WorkerFailed(Exception):
    """The child is of no more use: it must be killed, and `kind` and the message say why."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class WorkerPool:
    """Up to `size` children; a call may take `timeout` seconds (a tool's says its own), a child
    `memory` bytes of address space.

    Use as an async context manager: leaving it kills every child.
    """

    def __init__(self, size: int = 2, timeout: float = 10.0, memory: int = 1 << 30) -> None:
        self._timeout, self._memory = timeout, memory
        self._slots = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._alive: set[_Worker] = set()
        self._closed = False

    async def __aenter__(self) -> WorkerPool:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        for child in tuple(self._alive):
            await self._end_worker(child)

    async def call(self, call: ToolCall | FunctionCall, boundary: Boundary = "tool") -> ToolResult:
        """Run `call` in a child: `python:<absolute path>:<function>`, `regex`, or a tool's; every
        outcome is a ToolResult.

        Its error is of `boundary` and one of the kinds `raised` (the function did), `timeout`,
        `crashed` (the child died).
        """
        if self._closed:
            raise RuntimeError("the pool is closed")
        async with self._slots:
            try:
                reply = await self._ask_worker(call)
            except _WorkerFailed as failed:
                return ToolResult(call.id, "", Error(boundary, failed.kind, str(failed)))
        if "error" in reply:
            return ToolResult(call.id, "", Error(boundary, "raised", str(reply["error"])))
        return ToolResult(call.id, str(reply["content"]))

    async def _ask_worker(self, call: ToolCall | FunctionCall) -> dict[str, Any]:
        """The child's reply. A child that failed, or was interrupted in the middle, is killed: what
        it does next is unknown."""
        child = await self._idle_or_new_worker(_file_of(call))
        try:
            reply = await child.ask(call, self._timeout_of(call))
        except BaseException:
            await self._end_worker(child)
            raise
        self._idle.append(child)
        if len(self._idle) > _MAX_IDLE:
            await self._end_worker(self._idle.pop(0))
        return reply

    def _timeout_of(self, call: ToolCall | FunctionCall) -> float:
        if isinstance(call, FunctionCall):
            return call.timeout
        own = _OWN_SECONDS.get(call.name.partition(":")[0], self._timeout)
        return min(self._timeout, own)

    async def _idle_or_new_worker(self, file: str) -> _Worker:
        """An idle child that has run nothing but `file`, or a new one."""
        for child in [each for each in reversed(self._idle) if each.file == file]:
            self._idle.remove(child)
            if child.usable:
                return child
            await self._end_worker(child)
        child = await _Worker.start_process(self._memory, file)
        self._alive.add(child)
        try:
            await child.wait_until_ready()
        except BaseException:
            await self._end_worker(child)
            raise
        return child

    async def _end_worker(self, child: _Worker) -> None:
        child.kill()
        self._alive.discard(child)
        with anyio.CancelScope(shield=True):
            await child.clean_up()


class _Worker:
    """One child process, the folder it lives in, and the file whose functions it runs."""

    def __init__(self, process: Process, home: str, file: str) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a child process is controlled through pipes")
        self._process, self._home, self.file = process, home, file
        self._requests, self._replies = process.stdin, BufferedByteReceiveStream(process.stdout)

    @classmethod
    async def start_process(cls, memory: int, file: str) -> _Worker:
        """A new child, its interpreter still starting. Raises _ChildFailed."""
        home = tempfile.mkdtemp(prefix="harness-")
        try:
            process = await anyio.open_process(
                [sys.executable, "-I", "-B", "-X", "utf8", str(_PROGRAM), str(memory), home],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=home,
                env=_worker_environment(home),
                start_new_session=True,
            )
        except BaseException as error:
            shutil.rmtree(home, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            raise _WorkerFailed("crashed", f"no child process could be started: {error}") from None
        return cls(process, home, file)

    async def wait_until_ready(self) -> None:
        """Wait until its interpreter has started: that is not the function's time. Raises
        _ChildFailed."""
        await self._request_reply("ready", _START_SECONDS)

    @property
    def usable(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def ask(self, call: ToolCall | FunctionCall, seconds: float) -> dict[str, Any]:
        """The reply to one call. Raises _ChildFailed."""
        token = secrets.token_hex(16)
        frame = _encode_frame(
            {
                "token": token,
                "name": call.name,
                "arguments": call.arguments,
                "seconds": ceil(seconds),
            }
        )
        reply = await self._request_reply("token", seconds, frame)
        if reply["token"] != token or not _is_outcome(reply):
            raise _WorkerFailed("crashed", _OUT_OF_TURN)
        return reply

    def kill(self) -> None:
        """End it, and all it started that stayed in its session. (macOS refuses the signal to a
        group of zombies.)"""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def clean_up(self) -> None:
        """Reap the killed process and remove its folder."""
        await self._process.aclose()
        await anyio.to_thread.run_sync(partial(shutil.rmtree, self._home, ignore_errors=True))

    async def _request_reply(
        self, proof: str, seconds: float, frame: bytes = b""
    ) -> dict[str, Any]:
        """Send `frame`, if any, and receive a reply that has the member `proof`. Raises
        _ChildFailed."""
        try:
            with anyio.fail_after(seconds):
                if frame:
                    await self._requests.send(frame)
                reply = await self._receive_frame()
        except TimeoutError:
            raise _WorkerFailed(
                "timeout", f"it took longer than {seconds:g} s and was stopped"
            ) from None
        except _GONE:
            raise _WorkerFailed("crashed", await self._cause_of_death()) from None
        if not isinstance(reply, dict) or proof not in reply:
            raise _WorkerFailed("crashed", _OUT_OF_TURN)
        return reply

    async def _receive_frame(self) -> Any:
        size = int.from_bytes(await self._replies.receive_exactly(HEADER), "big")
        if size > _FRAME_LIMIT:
            raise _WorkerFailed("crashed", _OUT_OF_TURN)
        try:
            return json.loads(await self._replies.receive_exactly(size))
        except (ValueError, RecursionError):
            raise _WorkerFailed("crashed", _OUT_OF_TURN) from None

    async def _cause_of_death(self) -> str:
        """What ended the child; its pipe closes a moment before its status is known."""
        code = None
        with anyio.move_on_after(1):
            code = await self._process.wait()
        if code is None:
            return "it closed the pipe for its result"
        if code >= 0:
            return f"its process exited with status {code}"
        names = {each.value: each.name for each in signal.Signals}  # some have none
        return f"its process was killed by {names.get(-code, f'signal {-code}')}"


def _file_of(call: ToolCall | FunctionCall) -> str:
    """The user's file that a call runs, empty where it is a function of ours."""
    kind, _, rest = call.name.partition(":")
    return rest.rpartition(":")[0] if kind in ("python", "tool") else ""


def _is_outcome(reply: dict[str, Any]) -> bool:
    """Whether a reply says what a call came to: JSON, or an error."""
    if "error" in reply:
        return True
    try:
        json.loads(reply["content"])
    except (KeyError, TypeError, ValueError):
        return False
    except RecursionError:  # the caller's to say
        return True
    return True


def _worker_environment(home: str) -> dict[str, str]:
    """All a child is told of ours; one thread each for numerical libraries, since several children
    run at once."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": home,
        "TMPDIR": home,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _encode_frame(request: dict[str, str | int]) -> bytes:
    frame = json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return len(frame).to_bytes(HEADER, "big") + frame
