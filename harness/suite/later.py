"""Reads `turns:`, what the user says after the answers: of a prompt, or of a case instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.config import templates
from harness.config.diagnostics import KeyPath, Locator, Place, Problems
from harness.config.templates import Template
from harness.config.yaml import Document
from harness.suite.files import WorkspaceFiles
from harness.suite.grader_specs import GraderReader, grader_variables
from harness.suite.model import LaterTurn, RoleReference
from harness.suite.multimodal import ImageTemplate, MultimodalTemplate
from harness.suite.tool_language import LaterTurnSpec as Written


def turn_roles(later: Iterable[LaterTurn]) -> Iterator[RoleReference]:
    """Whom the graders of some turns ask."""
    return (each for turn in later for each in turn.roles)


def turn_variables(later: Iterable[LaterTurn], whose: str) -> dict[str, str]:
    """The variables that turns and their graders use, and which of `whose` parts does."""
    needs: dict[str, str] = {}
    for turn in later:
        needs |= dict.fromkeys(sorted(turn.variables - {"expected"}), f"a turn of {whose}")
        needs |= grader_variables(turn.graders)
    return needs


class LaterTurnReader:
    """Reads the later turns of one document, whose folder is `base`."""

    def __init__(self, files: WorkspaceFiles, base: Path, locator: Locator, problems: Problems) -> None:
        self._files = files
        self._base = base
        self._locator = locator
        self._problems = problems

    def read(self, items: Sequence[str | Written | None] | None, at: KeyPath) -> tuple[LaterTurn, ...] | None:
        """The turns at `at`, None where none are written. A turn's graders are named after it: `turn-2: contains`.

        The first item may say nothing and judge the first answer, which is `turn-1`.
        """
        if items is None:
            return None
        first = 1 if _has_no_message(items[0]) else 2
        found = [self._read_turn(item, (*at, index), index + first) for index, item in enumerate(items) if item is not None]
        return tuple(turn for turn in found if turn is not None)

    def _read_turn(self, item: str | Written, at: KeyPath, number: int) -> LaterTurn | None:
        if isinstance(item, str):
            return self._read_message(item, at, Written(), at, number)
        if item.user is not None:
            return self._read_message(item.user, (*at, "user"), item, at, number)
        wrong = _missing_message_error(item, number)
        if wrong is not None:
            self._problems.add(self._locator.place_of(at), wrong)
            return None
        return self._build_turn(None, item, (*at, "graders"), number)

    def _read_message(self, text: str, where: KeyPath, item: Written, at: KeyPath, number: int) -> LaterTurn | None:
        try:
            template = self._compile_text(text, self._text_place(where))
            pictures = [self._compile_image(image, (*at, "images", index)) for index, image in enumerate(item.images)]
        except templates.TemplateError as error:
            self._problems.add(error.place, error.message)
            return None
        said = MultimodalTemplate((*pictures, template), self._files.images) if pictures else template
        return self._build_turn(said, item, (*at, "graders"), number)

    def _compile_image(self, text: str, at: KeyPath) -> ImageTemplate:
        return ImageTemplate(self._compile_text(text, self._text_place(at)), self._base)

    def _compile_text(self, text: str, place: Place) -> Template:
        template = templates.compile_template(text, place)
        if "expected" in template.variables | template.optional:
            self._problems.add(place, "a turn cannot use `expected`: the model would see the answer; remove it")
        return template

    def _build_turn(self, text: Template | MultimodalTemplate | None, item: Written, at: KeyPath, number: int) -> LaterTurn:
        reader = GraderReader(self._files, self._base, self._locator, self._problems)
        specs = reader.assign_ids(reader.read(item.graders, at), at)
        graders = tuple(spec.model_copy(update={"id": f"turn-{number}: {spec.id}"}) for spec in specs)
        return LaterTurn(text, graders, tuple(reader.roles))

    def _text_place(self, at: KeyPath) -> Place:
        return self._locator.text_place_of(at) if isinstance(self._locator, Document) else self._locator.place_of(at)


def _has_no_message(item: str | Written | None) -> bool:
    return isinstance(item, Written) and item.user is None


def _missing_message_error(item: Written, number: int) -> str | None:
    """What is wrong with an item in which the user says nothing, None where it judges the first answer."""
    if item.images:
        return "the item shows `images` and says nothing; give it `user:`, what the user says with them"
    if number > 1:
        return (
            "the item has no `user`: only the first of `turns` may be without, and judges the first answer; "
            "give it `user:`, what the user says before the answer it judges"
        )
    if not item.graders:
        return "the item has no `user` and no `graders`; give it `user:`, what the user says, or `graders` of the first answer"
    return None
