"""The child process that calls a user's function: it can be killed, and has no API keys in its
environment, an empty folder as its home, and limits on time and memory.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

_PROGRAM = Path(__file__).with_name("function_program.py")


class FunctionProcess:
    """A process that calls `function` of the file at `path`, as `function_program` describes.

    With `rows` it writes each item of what the function returns, else the value. `memory` is the
    address space it may use in bytes, `seconds` the CPU time, if limited. It is killed, with all it
    started, by `kill` and when nothing refers to it any more.
    """

    def __init__(
        self, path: Path, function: str, *, rows: bool, memory: int, seconds: int | None = None
    ) -> None:
        folder = tempfile.TemporaryDirectory(prefix="harness-", ignore_cleanup_errors=True)
        home = folder.name
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "HOME": home,
            "TMPDIR": home,
            "PYTHONHASHSEED": "0",  # sets in the same order each time
        }
        words = [str(_PROGRAM), str(path), function, "rows" if rows else "value"]
        limits = [str(memory), str(seconds or "")]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-X", "utf8", *words, *limits],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=home, env=environment, start_new_session=True,
        )  # fmt: skip
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both ends are pipes")
        self._requests: IO[bytes] = self._process.stdin
        self.results: IO[bytes] = self._process.stdout
        """The lines it answers with."""
        self.kill = weakref.finalize(self, _end_process, self._process, folder)

    def request(self, arguments: bytes) -> None:
        """Ask for a call with these arguments, a JSON array. A process that is gone answers
        nothing."""
        with suppress(BrokenPipeError):
            self._requests.write(arguments + b"\n")
            self._requests.flush()

    def kill_group(self) -> None:
        """Kill the process and all it started; what it has written can still be read."""
        _kill_group(self._process)

    def wait(self) -> int:
        """Wait for its end, and return its exit code, negative for a signal."""
        return self._process.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_process(
    process: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]
) -> None:
    _kill_group(process)
    with suppress(subprocess.TimeoutExpired):  # an interrupt found it being waited for
        process.wait(1)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
    folder.cleanup()
