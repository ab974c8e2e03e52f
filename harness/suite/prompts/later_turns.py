"""Reads `turns:`, the later user turns of a conversation: a prompt's, or a case's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.config import templates
from harness.config.diagnostics import KeyPath
from harness.config.templates import Template
from harness.suite.graders.extraction_steps import read_extraction, set_default_extraction
from harness.suite.graders.grader_specs import GraderReader, grader_variables
from harness.suite.model import ImageTemplate, LaterTurn, MultimodalTemplate, RoleReference
from harness.suite.schema import LaterTurnSpec as Written
from harness.suite.source import Source


def turn_roles(later: Iterable[LaterTurn]) -> Iterator[RoleReference]:
    """The targets that the graders of these turns ask."""
    return (each for turn in later for each in turn.roles)


def turn_variables(later: Iterable[LaterTurn], whose: str) -> dict[str, str]:
    """The variables that turns and their graders need, each with its user for messages."""
    needs: dict[str, str] = {}
    for turn in later:
        needs |= dict.fromkeys(sorted(turn.variables - {"expected"}), f"a turn of {whose}")
        needs |= grader_variables(turn.graders)
    return needs


class LaterTurnReader:
    """Reads `turns:`, the later user turns of a multi-turn conversation: a prompt's, or a case's
    own.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._problems = source.problems

    def read(
        self, items: Sequence[str | Written | None] | None, at: KeyPath
    ) -> tuple[LaterTurn, ...] | None:
        """The turns at `at`, None where there are none. Graders are named after their turn:
        `turn-2: contains`.

        The first item may have graders and no message: they judge the first answer, which is
        `turn-1`.
        """
        if items is None:
            return None
        first = 1 if _has_no_message(items[0]) else 2
        found = [
            self._read_turn(item, (*at, index), index + first)
            for index, item in enumerate(items)
            if item is not None
        ]
        return tuple(turn for turn in found if turn is not None)

    def _read_turn(self, item: str | Written, at: KeyPath, number: int) -> LaterTurn | None:
        if isinstance(item, str):
            return self._read_message(item, at, Written(), at, number)
        if item.user is not None:
            return self._read_message(item.user, (*at, "user"), item, at, number)
        wrong = _missing_message_error(item, number)
        if wrong is not None:
            self._source.add_problem(at, wrong)
            return None
        return self._build_turn(None, item, (*at, "graders"), number)

    def _read_message(
        self, text: str, where: KeyPath, item: Written, at: KeyPath, number: int
    ) -> LaterTurn | None:
        try:
            template = self._source.compile_for_model(
                text, self._source.text_place_of(where), "a turn"
            )
            images = [
                self._compile_image(image, (*at, "images", index))
                for index, image in enumerate(item.images)
            ]
        except templates.TemplateError as error:
            self._problems.add(error.place, error.message)
            return None
        message = (
            MultimodalTemplate((*images, template), self._source.files.images)
            if images
            else template
        )
        return self._build_turn(message, item, (*at, "graders"), number)

    def _compile_image(self, text: str, at: KeyPath) -> ImageTemplate:
        return ImageTemplate(
            self._source.compile_for_model(text, self._source.text_place_of(at), "a turn"),
            self._source.folder,
        )

    def _build_turn(
        self, text: Template | MultimodalTemplate | None, item: Written, at: KeyPath, number: int
    ) -> LaterTurn:
        reader = GraderReader(self._source)
        specs = set_default_extraction(
            reader.assign_ids(reader.read(item.graders, at), at),
            read_extraction(item.extract, self._source, (*at[:-1], "extract")),
        )
        graders = tuple(
            spec.model_copy(update={"id": f"turn-{number}: {spec.id}"}) for spec in specs
        )
        return LaterTurn(text, graders, tuple(reader.roles))


def _has_no_message(item: str | Written | None) -> bool:
    return isinstance(item, Written) and item.user is None


def _missing_message_error(item: Written, number: int) -> str | None:
    """The problem with an item that has no message; None where it may have none and judges the
    first answer.
    """
    if item.images:
        return "the item has `images` but no text; add `user:` with the user's message"
    if number > 1:
        return (
            "the item has no `user`; only the first item of `turns` may omit it, to grade the"
            " first answer: add `user:` with the user's message"
        )
    if not item.graders:
        return (
            "the item has neither `user` nor `graders`; add `user:` with the user's message, or"
            " `graders` of the first answer"
        )
    return None
