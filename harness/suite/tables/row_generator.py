"""The program of the child process that runs a user's function and writes each row it yields.

Only the standard library is imported, and the file is run by its path. Results leave on a duplicate
of stdout, which itself is turned to stderr, so that nothing the function prints passes for a row. A
line is a row (`r` and its JSON), or the last word: `d` for done, `e` for an error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

MAX_MESSAGE = 2_000


def main() -> None:
    """Run the function. Arguments: its file, its name, the CPU seconds and the bytes of address
    space it may use."""
    file, name, seconds, memory = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for limit, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(limit, (value, value))
    try:
        _write_rows(file, name, results)
        results.write(b"d\n")
    except BaseException as raised:  # noqa: BLE001 - sys.exit() is the function's error, not ours
        results.write(b"e" + json.dumps(_describe_error(raised, file)).encode() + b"\n")
    results.flush()
    os._exit(0)  # whatever the function left running


def _write_rows(file: str, name: str, results: BinaryIO) -> None:
    rows = _load_function(file, name)()
    results.writelines(b"r" + json.dumps(row, allow_nan=False).encode() + b"\n" for row in rows)


def _load_function(file: str, name: str) -> Any:
    sys.path.append(str(Path(file).parent))
    spec = importlib.util.spec_from_file_location("_user_rows", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return getattr(module, name)


def _describe_error(raised: BaseException, file: str) -> str:
    """`ValueError: no such queue (cases.py:12)`: the last line of the user's file it came from."""
    frames = [each for each in traceback.extract_tb(raised.__traceback__) if each.filename == file]
    place = f" ({Path(file).name}:{frames[-1].lineno})" if frames else ""
    try:
        message = str(raised)
    except Exception:  # noqa: BLE001 - the user's exception may not even be printable
        message = "(its message could not be read)"
    return f"{type(raised).__name__}: {message}"[:MAX_MESSAGE] + place


if __name__ == "__main__":
    main()
