"""Reads `turns:`, what the user says after the answers: of a prompt, or of a case instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.suite import templates
from harness.suite.files import Files
from harness.suite.graders import GraderReader, grader_needs
from harness.suite.nouns import Asking, LaterTurn
from harness.suite.pictures import Illustrated, Picture
from harness.suite.problems import Location, Locator, Place, Problems
from harness.suite.templates import Template
from harness.suite.tool_language import LaterTurn as Written
from harness.suite.yaml import Document


def asked_in(later: Iterable[LaterTurn]) -> Iterator[Asking]:
    """Whom the graders of some turns ask."""
    return (each for turn in later for each in turn.asked)


def turn_needs(later: Iterable[LaterTurn], whose: str) -> dict[str, str]:
    """The variables that turns and their graders use, and which of `whose` parts does."""
    needs: dict[str, str] = {}
    for turn in later:
        needs |= dict.fromkeys(sorted(turn.text.variables - {"expected"}), f"a turn of {whose}")
        needs |= grader_needs(turn.graders)
    return needs


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
        images = () if isinstance(item, str) else tuple(enumerate(item.images))
        try:
            template = self._template(text, self._text_place(where))
            pictures = [self._picture(image, (*at, "images", index)) for index, image in images]
        except templates.TemplateError as error:
            self._problems.add(error.place, error.message)
            return None
        said = Illustrated((*pictures, template), self._files.images) if pictures else template
        return LaterTurn(said) if isinstance(item, str) else self._graded(said, item, (*at, "graders"), number)

    def _picture(self, text: str, at: Location) -> Picture:
        return Picture(self._template(text, self._text_place(at)), self._base)

    def _template(self, text: str, place: Place) -> Template:
        template = templates.compile(text, place)
        if "expected" in template.variables | template.optional:
            self._problems.add(place, "a turn cannot use `expected`: the model would see the answer; remove it")
        return template

    def _graded(self, text: Template | Illustrated, item: Written, at: Location, number: int) -> LaterTurn:
        reader = GraderReader(self._files, self._base, self._locator, self._problems)
        specs = reader.named(reader.read(item.graders, at), at)
        graders = tuple(spec.model_copy(update={"id": f"turn-{number}: {spec.id}"}) for spec in specs)
        return LaterTurn(text, graders, tuple(reader.asked))

    def _text_place(self, at: Location) -> Place:
        return self._locator.text_place(at) if isinstance(self._locator, Document) else self._locator.place(at)
