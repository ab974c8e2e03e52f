"""Rows from a user's own function, run in a child process that can be killed: no API keys in its
environment, an empty folder as its home, limits on time, memory and rows.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from threading import Event, Timer
from typing import IO

from msgspec.structs import replace

from harness.suite.functions.function_process import FunctionProcess
from harness.suite.tables.json_rows import open_jsonl
from harness.suite.tables.scratch_file import ScratchFile
from harness.suite.tables.table_rows import Table, TableError, TableOptions
from harness.suite.tables.text_input import iterate_lines

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
    process = FunctionProcess(path, function, rows=True, memory=MEMORY, seconds=seconds)
    overrun = Event()

    def end_overrun() -> None:
        overrun.set()
        process.kill_group()

    timer = Timer(seconds, end_overrun)
    timer.daemon = True
    timer.start()
    try:
        process.request(b"[]")
        if not _copy_rows(process.results, scratch.content):
            raise TableError(_explain_end(process.wait(), seconds, timed_out=overrun.is_set()))
    finally:
        timer.cancel()
        process.kill()
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


def _explain_end(code: int, seconds: int, *, timed_out: bool) -> str:
    if timed_out or code == -signal.SIGXCPU:
        return f"the function took longer than {seconds} s and was stopped; yield fewer rows"
    return f"the process of the function exited with status {code} before it was done"
