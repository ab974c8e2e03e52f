"""Reads `turns:`, what the user says after the answers: of a prompt, or of a case instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.suite import templates
from harness.suite.files import Files
from harness.suite.graders import GraderReader
from harness.suite.nouns import Asking, LaterTurn
from harness.suite.problems import Location, Locator, Place, Problems
from harness.suite.templates import Template
from harness.suite.tool_language import LaterTurn as Written
from harness.suite.yaml import Document


def asked_in(later: Iterable[LaterTurn]) -> Iterator[Asking]:
    """Whom the graders of some turns ask."""
    return (each for turn in later for each in turn.asked)


class LaterTurns:
    """Reads the later turns of one document, whose folder is `base`."""

    def __init__(self, files: Files, base: Path, locator: Locator, problems: Problems) -> None:
        self._files = files
        self._base = base
        self._locator = locator
        self._problems = problems

    def read(self, items: Sequence[str | Written | None] | None, at: Location) -> tuple[LaterTurn, ...] | None:
        """The turns at `at`, None where none are written. A turn's graders are named after it: `turn-2: contains`."""
        if items is None:
            return None
        found = [self._turn(item, (*at, index), index + 2) for index, item in enumerate(items) if item is not None]
        return tuple(turn for turn in found if turn is not None)

    def _turn(self, item: str | Written, at: Location, number: int) -> LaterTurn | None:
        text, where = (item, at) if isinstance(item, str) else (item.user, (*at, "user"))
        place = self._text_place(where)
        try:
            template = templates.compile(text, place)
        except templates.TemplateError as error:
            self._problems.add(error.place, error.message)
            return None
        if "expected" in template.variables | template.optional:
            self._problems.add(place, "a turn cannot use `expected`: the model would see the answer; remove it")
        return LaterTurn(template) if isinstance(item, str) else self._graded(template, item, (*at, "graders"), number)

    def _graded(self, text: Template, item: Written, at: Location, number: int) -> LaterTurn:
        reader = GraderReader(self._files, self._base, self._locator, self._problems)
        specs = reader.named(reader.read(item.graders, at), at)
        graders = tuple(spec.model_copy(update={"id": f"turn-{number}: {spec.id}"}) for spec in specs)
        return LaterTurn(text, graders, tuple(reader.asked))

    def _text_place(self, at: Location) -> Place:
        return self._locator.text_place(at) if isinstance(self._locator, Document) else self._locator.place(at)
