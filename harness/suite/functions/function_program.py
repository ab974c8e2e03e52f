"""The program of the child process that calls a user's function, once for each line it reads.

Only the standard library is imported, and the file is run by its path. Requests come on a duplicate
of stdin, results leave on one of stdout, which itself is turned to stderr, so that nothing the
function prints passes for a result. A request is its arguments, a JSON array. It is answered by `r`
and the value as JSON, or of `rows` by such a line for each and a last one, `d`; or by `e` and what
was raised.
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
from typing import Any

MAX_MESSAGE = 2_000


def main() -> None:
    """Serve calls until stdin closes. Arguments: the file, the function's name, `rows` or `value`,
    the bytes of address space and the CPU seconds (empty: any) it may use."""
    file, name, kind, memory, seconds = sys.argv[1:]
    requests, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for limit, value in (
        (resource.RLIMIT_CPU, int(seconds or resource.RLIM_INFINITY)),
        (resource.RLIMIT_AS, int(memory)),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(limit, (value, value))
    function: Any = None
    for line in requests:
        try:
            function = function or _load_function(file, name)
            answer = function(*json.loads(line))
            if kind == "rows":
                results.writelines(map(_value_line, answer))
                results.write(b"d\n")
            else:
                results.write(_value_line(answer))
        except BaseException as raised:  # noqa: BLE001 - sys.exit() is the function's error, not ours
            results.write(b"e" + json.dumps(_describe_error(raised, file)).encode() + b"\n")
        results.flush()
    os._exit(0)  # whatever the function left running


def _value_line(value: Any) -> bytes:
    return b"r" + json.dumps(value, allow_nan=False).encode() + b"\n"


def _load_function(file: str, name: str) -> Any:
    sys.path.append(str(Path(file).parent))
    spec = importlib.util.spec_from_file_location("_user_function", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return getattr(module, name)


def _describe_error(raised: BaseException, file: str) -> str:
    """`KeyError: 'name' (prompts.py:12)`: the last line of the user's file it came from."""
    frames = [each for each in traceback.extract_tb(raised.__traceback__) if each.filename == file]
    place = f" ({Path(file).name}:{frames[-1].lineno})" if frames else ""
    try:
        message = str(raised)
    except Exception:  # noqa: BLE001 - the user's exception may not even be printable
        message = "(its message could not be read)"
    message = f"{type(raised).__name__}: {message}"
    return message[:MAX_MESSAGE] + "…" * (len(message) > MAX_MESSAGE) + place


if __name__ == "__main__":
    main()
