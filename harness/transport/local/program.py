"""A program of the user's own as a target: the request as JSON on its standard input, the answer on
its standard output.

No shell is involved. It runs in the suite's folder, in a session of its own, so that Ctrl-C in the
terminal is ours alone and one signal ends it with all it started. Its environment is small: no API
key gets there unless the target names its variable in `env:`.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol, cast

from harness.model import Call, Error, Target
from harness.transport.local.function import folder_of

PASSED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
)
"""Variables every program gets."""
MAX_OUTPUT = 16 * 1024 * 1024
KEPT_OF_STDERR = 2000
"""Bytes of the end of standard error that an error quotes."""
GRACE = 0.25
"""Seconds that what a program started may hold its output open after it has ended."""


class OutputListener(Protocol):
    """Takes what is printed."""

    def add_output(self, data: bytes) -> None:
        """One read of standard output."""


class Program:
    """The program of a command target; `variables` are added to its environment."""

    def __init__(self, target: Target, variables: Mapping[str, str]) -> None:
        self._words = shlex.split(target.model)
        self._folder = folder_of(target)
        self._environment = {
            name: os.environ[name] for name in PASSED if name in os.environ
        } | dict(variables)

    async def perform(self, call: Call, listener: OutputListener) -> Error | None:
        """Run the program once, and tell `listener` what it prints; why it gave no answer, if it
        gave none."""
        talk, seconds = _ProgramProtocol(listener), call.target.limits.timeouts.total
        try:
            async with asyncio.timeout(seconds):
                await self._start(talk)
                talk.write_request(call.wire.body)
                await talk.over
        except TimeoutError:
            return self._error(
                "timeout_total", f"did not finish within {seconds:g} s, and was killed", talk
            )
        except OSError as refused:
            return self._error(
                "not_started", f"could not be started: {refused.strerror or refused}", talk
            )
        finally:
            await talk.end_process()
        if talk.flooded:
            return self._error(
                "too_large", f"printed more than {MAX_OUTPUT:,} bytes, and was killed", talk
            )
        return None if talk.code == 0 else self._error("exited", _describe_exit(talk.code), talk)

    async def _start(self, talk: _ProgramProtocol) -> None:
        program, *arguments = self._words
        if "/" in program:
            program = str(self._folder / program)
        await asyncio.get_running_loop().subprocess_exec(
            lambda: talk,
            program,
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=self._folder,
            env=self._environment,
            start_new_session=True,
        )

    def _error(self, kind: str, message: str, talk: _ProgramProtocol) -> Error:
        said = talk.stderr.decode("utf-8", "replace").strip()
        return Error(
            "target", kind, f"{shlex.join(self._words)} {message}" + (f": {said}" if said else "")
        )


class _ProgramProtocol(asyncio.SubprocessProtocol):
    """One program under way: what it prints is passed on in the moment it arrives, until it has
    ended and closed its output."""

    def __init__(self, listener: OutputListener) -> None:
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = loop.create_future()
        self.stderr = bytearray()
        self.flooded = False
        self._listener = listener
        self._exited: asyncio.Future[None] = loop.create_future()
        self._printing = {1, 2}
        self._printed = 0
        self._process: asyncio.SubprocessTransport | None = None

    @property
    def code(self) -> int:
        """The exit code, negative for a signal."""
        code = self._process.get_returncode() if self._process else None
        return 0 if code is None else code

    def write_request(self, request: bytes) -> None:
        """Write the request, all there is on standard input; a program need not read it."""
        pipe: Any = self._process.get_pipe_transport(0) if self._process else None
        if pipe is not None and not pipe.is_closing():  # else it has ended already
            pipe.write(request)
            pipe.close()

    async def end_process(self) -> None:
        """Kill what is left of the program and of all that it started."""
        if self._process is not None:
            self._kill()
            await asyncio.wait([self._exited], timeout=GRACE)
            self._process.close()

    # ── What the loop tells ───────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs."""
        self._process = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It printed something."""
        if fd == 2:
            self.stderr += data
            del self.stderr[:-KEPT_OF_STDERR]
            return
        self._printed += len(data)
        if self._printed <= MAX_OUTPUT:
            self._listener.add_output(data)
        elif not self.flooded:
            self.flooded = True
            self._kill()
            self._set_over()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It, and whatever it started, closed a pipe."""
        self._printing.discard(fd)
        if self._exited.done() and not self._printing:
            self._set_over()

    def process_exited(self) -> None:
        """It ended; what it started may hold its output open for a moment."""
        if not self._exited.done():
            self._exited.set_result(None)
        if self._printing:
            asyncio.get_running_loop().call_later(GRACE, self._set_over)
        else:
            self._set_over()

    def _set_over(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def _kill(self) -> None:
        pid = self._process.get_pid() if self._process else None
        if pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
