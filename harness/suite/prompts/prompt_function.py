"""Prompts that a user's own function builds, in a child process that can be killed: no API keys in
its environment, an empty folder as its home, limits on time and memory.

The function is called once for each case, while the suite is loaded; what it built is kept in a
temporary file, so that a run sends what was checked and a million cases fit into memory.
"""

from __future__ import annotations

import json
import os
import select
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from harness.config.diagnostics import Place
from harness.config.templates import TemplateError
from harness.hashing import canonical_json, hash64
from harness.model import Message
from harness.suite.cases.conversations import read_conversation
from harness.suite.functions.function_process import FunctionProcess
from harness.suite.tables.scratch_file import ScratchFile

SECONDS = 10.0
"""What building one prompt may take, the import of the file included."""
MEMORY = 1 << 30
MAX_PROMPT = 16 << 20


class PromptFunction:
    """The function `name` of the file at `path`; `reference` is how the suite names it, with a hash
    of the file, and `place` where.
    """

    def __init__(
        self, path: Path, name: str, reference: str, place: Place, seconds: float = SECONDS
    ) -> None:
        self.reference, self._place, self._seconds = reference, place, seconds
        self._path, self._name = path, name
        self._process: FunctionProcess | None = None
        self._scratch = ScratchFile(".json")
        self._offsets: dict[int, tuple[int, int]] = {}

    def messages(self, variables: Mapping[str, Any]) -> tuple[Message, ...]:
        """The prompt for one case: a text is the user's message. Raises TemplateError."""
        request = canonical_json(variables)
        key = hash64(request)
        if key not in self._offsets:
            self._offsets[key] = self._keep(self._call(request))
        offset, size = self._offsets[key]
        value = json.loads(os.pread(self._scratch.content.fileno(), size, offset))
        try:
            return (Message("user", value),) if isinstance(value, str) else read_conversation(value)
        except ValueError as wrong:
            raise TemplateError(
                f"the function did not return a prompt: {wrong}", self._place
            ) from None

    def _keep(self, built: bytes) -> tuple[int, int]:
        file = self._scratch.content
        offset = file.seek(0, os.SEEK_END)
        file.write(built)
        file.flush()
        return offset, len(built)

    def _call(self, request: bytes) -> bytes:
        """What the function returned, as JSON. Raises TemplateError."""
        if self._process is None:
            self._process = FunctionProcess(self._path, self._name, rows=False, memory=MEMORY)
        self._process.request(b"[" + request + b"]")
        answer = _read_answer(self._process, self._seconds)
        if answer[:1] == b"r":
            return answer[1:]
        if answer[:1] == b"e":
            raise TemplateError(f"the function failed: {json.loads(answer[1:])}", self._place)
        self._process.kill()
        self._process = None
        why = answer.decode() or "its process ended"
        raise TemplateError(f"the function did not return a prompt: {why}", self._place)


def _read_answer(process: FunctionProcess, seconds: float) -> bytes:
    """The line that answers a request; where none comes, a word on why, or nothing."""
    results, answer, ends = process.results, bytearray(), monotonic() + seconds
    while not answer.endswith(b"\n"):
        ready, _, _ = select.select([results], [], [], max(0.0, ends - monotonic()))
        if not ready:
            return f"it took longer than {seconds:g} s".encode()
        piece = os.read(results.fileno(), 1 << 16)
        if not piece:
            return b""
        answer += piece
        if len(answer) > MAX_PROMPT:
            return f"it is larger than {MAX_PROMPT >> 20} MiB".encode()
    return bytes(answer[:-1])
