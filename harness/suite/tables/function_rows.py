"""Rows from a user's own function, run in a child process that can be killed: no API keys in its
environment, an empty folder as its home, limits on time, memory and rows.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import IO

from msgspec.structs import replace

from harness.suite.tables.json_rows import open_jsonl
from harness.suite.tables.scratch_file import ScratchFile
from harness.suite.tables.table_rows import Table, TableError, TableOptions
from harness.suite.tables.text_input import iterate_lines

_PROGRAM = Path(__file__).with_name("row_generator.py")
SECONDS = 120
"""What generating all rows may take."""
MEMORY = 2 << 30
MAX_OUTPUT = 4 << 30
"""Bytes of all rows together."""


def run_row_function(path: Path, function: str, name: str, seconds: int = SECONDS) -> Table:
    """The rows that the function in the file yields, called once, as a table called `name`. Raises
    TableError.
    """
    scratch = ScratchFile(".jsonl")
    with _start_process(path, function, seconds) as (process, overrun):
        if process.stdout is None:
            raise AssertionError("the rows are read through a pipe")
        ended = _copy_rows(process.stdout, scratch.content)
        if not ended:
            raise TableError(_explain_end(process.wait(), seconds, timed_out=bool(overrun)))
    scratch.content.flush()
    table = open_jsonl(scratch.path, TableOptions())
    return replace(table, path=path, format="python", name=name, seekable=False, unpacked=scratch)


def _copy_rows(stream: IO[bytes], rows: IO[bytes]) -> bool:
    """Copy the rows until the child says it is done; False where it ends without that word. Raises
    TableError for an error of the function.
    """
    written = 0
    for line in iterate_lines(stream):
        if line[:1] == b"d":
            return True
        if line[:1] == b"e":
            raise TableError(f"the function failed: {json.loads(line[1:])}")
        written += len(line)
        if line[:1] != b"r" or written > MAX_OUTPUT:
            raise TableError(
                f"the function yields more than {MAX_OUTPUT >> 30} GiB of rows; yield fewer"
            )
        rows.write(line[1:])
    return False


@contextmanager
def _start_process(
    path: Path, function: str, seconds: int
) -> Iterator[tuple[subprocess.Popen[bytes], list[bool]]]:
    """The child, killed with all it started at the end of its time and of the context; the list is
    filled where its time ran out.
    """
    overrun: list[bool] = []
    with tempfile.TemporaryDirectory(prefix="harness-", ignore_cleanup_errors=True) as home:
        words = [str(_PROGRAM), str(path), function, str(seconds), str(MEMORY)]
        with subprocess.Popen(
            [sys.executable, "-I", "-B", "-X", "utf8", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env=_child_environment(home),
            start_new_session=True,
        ) as process:

            def kill() -> None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)

            def end_overrun() -> None:
                overrun.append(True)
                kill()

            timer = Timer(seconds, end_overrun)
            timer.daemon = True
            timer.start()
            try:
                yield process, overrun
            finally:
                timer.cancel()
                kill()


def _child_environment(home: str) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": home,
        "TMPDIR": home,
        "PYTHONHASHSEED": "0",  # sets in the same order each time
    }


def _explain_end(code: int, seconds: int, *, timed_out: bool) -> str:
    if timed_out or code == -signal.SIGXCPU:
        return f"the function took longer than {seconds} s and was stopped; yield fewer rows"
    return f"the process of the function exited with status {code} before it was done"
