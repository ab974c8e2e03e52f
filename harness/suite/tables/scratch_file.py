"""A temporary file that lives as long as the object."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path


class ScratchFile:
    """A file in the temporary folder; `content` is open for reading and writing."""

    def __init__(self, suffix: str) -> None:
        file = tempfile.NamedTemporaryFile(prefix="harness-", suffix=suffix)  # noqa: SIM115
        weakref.finalize(self, file.close)
        self.content = file
        self.path = Path(file.name)
