"""The longest case of an eval, noted while each is read once: if it fits beside its answer, so do all the others."""

from __future__ import annotations

from dataclasses import dataclass

from harness.config.diagnostics import Place
from harness.hashing import canonical_json
from harness.suite.model import Case


@dataclass
class Longest:
    """The case whose variables are the longest as JSON, and where it stands; None before the first."""

    case: Case | None = None
    place: Place | None = None
    _size: int = -1

    def note(self, case: Case, place: Place) -> None:
        """Take one more selected case into account."""
        size = len(canonical_json(case.vars))
        if size > self._size:
            self._size, self.case, self.place = size, case, place
