"""The program of the child process that runs a user's prompt function, once for each line it reads.

Only the standard library is imported, and the file is run by its path. Requests come on a duplicate
of stdin, results leave on one of stdout, which itself is turned to stderr, so that nothing the
function prints passes for a result. A line is a case's variables as JSON; the line that answers it
is `r` and the prompt as JSON, or `e` and what was raised.
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
    """Serve calls until stdin closes. Arguments: the file, the function's name, and the bytes of
    address space it may use."""
    file, name, memory = sys.argv[1], sys.argv[2], int(sys.argv[3])
    requests, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(limit, (value, value))
    function: Any = None
    for line in requests:
        try:
            function = function or _load_function(file, name)
            answer = b"r" + json.dumps(function(json.loads(line)), allow_nan=False).encode()
        except BaseException as raised:  # noqa: BLE001 - sys.exit() is the function's error, not ours
            answer = b"e" + json.dumps(_describe_error(raised, file)).encode()
        results.write(answer + b"\n")
        results.flush()


def _load_function(file: str, name: str) -> Any:
    sys.path.append(str(Path(file).parent))
    spec = importlib.util.spec_from_file_location("_user_prompts", file)
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
    return f"{type(raised).__name__}: {message}"[:MAX_MESSAGE] + place


if __name__ == "__main__":
    main()
