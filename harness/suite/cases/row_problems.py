"""The problems of an eval's rows: what is wrong in the same way in many rows is reported once."""

from __future__ import annotations

from msgspec import Struct

from harness.config.diagnostics import Place, Problems
from harness.wording import pluralize


class _Repeated(Struct):
    """What is wrong with the first row that has a problem, and how many others have it."""

    place: Place
    subject: str
    message: str
    others: int = 0


class RowProblems(Problems):
    """Problems of rows, counted by file and message until they are added to `problems`."""

    def __init__(self, problems: Problems) -> None:
        super().__init__()
        self._problems = problems
        self._repeated: dict[tuple[str, str], _Repeated] = {}
        self._told = False

    def add(self, place: Place, message: str, subject: str = "", kind: str = "") -> None:
        """Add a problem with the row at `place`. Those of one `kind` count as the same, though
        their messages quote what is in the row.
        """
        if self._told:  # the rows are only read again
            return
        first = self._repeated.setdefault(
            (place.path, kind or message), _Repeated(place, subject, message)
        )
        if place != first.place:
            first.others += 1

    def add_warning(self, place: Place, message: str) -> None:
        """Add what is allowed, but probably a mistake."""
        self._problems.add_warning(place, message)

    def __len__(self) -> int:
        return len(self._repeated)

    def tell(self) -> None:
        """Tell each problem at its first row. What is added later is ignored."""
        self._told = True
        for each in self._repeated.values():
            more = f"; the same in {pluralize(each.others, 'more row')}" if each.others else ""
            self._problems.add(each.place, each.message + more, each.subject)
