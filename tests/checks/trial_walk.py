"""Counts the files and functions of the package that one trial enters, against a real server on
loopback.

Measured on the smallest useful suite: one prompt, one `equals` grader, a price, one request at a
time. The *first* trial of a run opens the connection and builds what later ones share; a *warm*
trial comes in the middle of the run. Trials are prepared eight at a time, so the warm walk spans
eight of them: planning is included, and what any of them entered counts.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import harness
from harness.app.python_api import run
from harness.app.run import Silent
from harness.engine.progress import Progress
from harness.engine.scheduler import PREPARED_AT_ONCE

PACKAGE = Path(harness.__file__).parent
BACKGROUND = frozenset({"LoopMonitor._measure_lag", "RunWriter._sync_regularly"})
"""Tasks of a run that wake up by the clock, whatever its trials do."""

_CASES = 4 * PREPARED_AT_ONCE
_ANSWER = (
    b'{"id": "1", "object": "chat.completion", "model": "tiny", "choices": [{"index": 0, "finish_reason": "stop", '
    b'"message": {"role": "assistant", "content": "4"}}], '
    b'"usage": {"prompt_tokens": %d, "completion_tokens": 1}}'
)


_PROMPT_TOKENS = count(10)
"""No two answers cost the same, so that nothing that is computed for each is hidden by a cache."""


class Walk(NamedTuple):
    """The functions entered, by file (relative to the package)."""

    functions: dict[str, list[str]]

    @property
    def files(self) -> int:
        """How many files were entered."""
        return len(self.functions)

    @property
    def count(self) -> int:
        """How many functions were entered."""
        return sum(map(len, self.functions.values()))

    def __str__(self) -> str:
        return f"{self.files} files, {self.count} functions"


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = _ANSWER % next(_PROMPT_TOKENS)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Recorder(Silent):
    """A display that switches the profiler on and off between the records of a run."""

    def __init__(self) -> None:
        self._records = 0
        self._functions: dict[str, dict[str, None]] = defaultdict(dict)
        self.walks: list[Walk] = []

    def begin(self, progress: Progress, budget: float | None) -> None:
        sys.setprofile(self._profile)

    def tick(self) -> None:
        self._records += 1
        if self._records == 1 or self._records == 3 * PREPARED_AT_ONCE:
            self._finish_walk()
        if self._records == 2 * PREPARED_AT_ONCE:
            sys.setprofile(self._profile)

    def _finish_walk(self) -> None:
        sys.setprofile(None)
        self.walks.append(
            Walk({file: sorted(names) for file, names in sorted(self._functions.items())})
        )
        self._functions.clear()

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if (
            event != "call"
            or not code.co_filename.startswith(str(PACKAGE))
            or code.co_name.startswith("<")
        ):
            return
        if code.co_filename == __file__ or _is_background():
            return
        self._functions[str(Path(code.co_filename).relative_to(PACKAGE))][code.co_qualname] = None


def _is_background() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and getattr(task.get_coro(), "__qualname__", "") in BACKGROUND


@contextmanager
def _server() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def walk_trials() -> tuple[Walk, Walk]:
    """What the first trial of a run enters, and what a warm one does."""
    recorder = _Recorder()
    with tempfile.TemporaryDirectory() as folder, _server() as port:
        cases = "".join(
            f"  - {{id: c{index}, vars: {{x: {index}}}, expected: '4'}}\n"
            for index in range(_CASES)
        )
        path = Path(folder, "suites", "one.yaml")
        path.parent.mkdir()
        path.write_text(
            "suite: one\n"
            "prompts: [{id: p, user: '2 + 2? {{ x }}'}]\n"
            f"cases:\n{cases}"
            "graders: [equals]\n"
            f"targets: [{{name: t, provider: openai, base_url: 'http://127.0.0.1:{port}/v1', model: tiny, "
            "price: {input: 1, output: 1}}]\n"
            "sampling: {temperature: 0, max_tokens: 5}\n"
            "run: {stream: false, concurrency: 1}\n"
        )
        run(path, display=recorder)
    first, warm = recorder.walks
    return first, warm


def main() -> None:
    """Print what each walk enters, file by file."""
    for name, walk in zip(("first", "warm"), walk_trials(), strict=True):
        print(f"{name} trial: {walk}")
        for file, functions in walk.functions.items():
            print(f"  {file}: {', '.join(functions)}")


if __name__ == "__main__":
    main()
