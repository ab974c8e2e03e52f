"""The parts of a loaded suite: prompts, turns, graders and cases; checked, resolved and
immutable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct, field

from harness.config.diagnostics import Place, quote_value
from harness.config.templates import Template, TemplateError
from harness.graders.base import GraderSpec
from harness.model import Image, Message, Text
from harness.suite.cases.conversations import read_conversation
from harness.suite.files import ImageError, ImageFiles

TurnRole = Literal["system", "developer", "user", "assistant"]


class ImageTemplate(Struct, frozen=True):
    """A template that renders to references to images; `folder` is the folder of the file it is
    written in.

    A template that is exactly one `{{ expression }}` renders to what the case has written, relative
    to the case's file, and a list stands for several images; any other is relative to the prompt's
    own file.
    """

    template: Template
    folder: Path

    def iter_references(
        self, variables: Mapping[str, Any], folder: Path | None
    ) -> Iterator[tuple[str, Path]]:
        """Yields each path or data URI, with the folder a path is relative to. Raises
        TemplateError.
        """
        of_case = self.template.is_expression
        value = self.template.value(variables)
        for each in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(each, str) or not each.strip():
                raise TemplateError(
                    f"an image must be given as a path or a data URI, not as {quote_value(each)}",
                    self.template.place,
                )
            yield each, (folder or self.folder) if of_case else self.folder


class MultimodalTemplate(Struct, frozen=True):
    """A turn of text and images, in order; takes the place of a Template in turns that show
    images.
    """

    parts: tuple[Template | ImageTemplate, ...]
    files: ImageFiles

    def content(
        self, variables: Mapping[str, Any], folder: Path | None
    ) -> tuple[Text | Image, ...]:
        """The parts of the message. Raises TemplateError, or InfrastructureError where a file
        has changed.
        """
        found: list[Text | Image] = []
        for part in self.parts:
            if isinstance(part, ImageTemplate):
                found += self._load_images(part, variables, folder)
            elif text := part.render(variables):
                found.append(Text(text))
        return tuple(found)

    @property
    def images(self) -> Sequence[ImageTemplate]:
        """The parts that are images."""
        return [part for part in self.parts if isinstance(part, ImageTemplate)]

    @property
    def templates(self) -> Sequence[Template]:
        """Every template of the turn."""
        return [part.template if isinstance(part, ImageTemplate) else part for part in self.parts]

    @property
    def variables(self) -> frozenset[str]:
        """The variables it needs."""
        return frozenset[str]().union(*(template.variables for template in self.templates))

    @property
    def source(self) -> str:
        """The turn as a Markdown prompt writes it."""
        return "\n".join(
            f"![]({part.template.source})" if isinstance(part, ImageTemplate) else part.source
            for part in self.parts
        )

    def _load_images(
        self, picture: ImageTemplate, variables: Mapping[str, Any], folder: Path | None
    ) -> Iterator[Image]:
        for reference, base in picture.iter_references(variables, folder):
            try:
                yield self.files.image(reference, base)
            except ImageError as wrong:
                raise TemplateError(str(wrong), picture.template.place) from None


class LaterTurn(Struct, frozen=True):
    """One more user turn of a multi-turn conversation, and the graders of the answer to it.

    A turn without `text` sends nothing: its graders judge the first answer. Only the first one can
    be so. `roles` are the targets that its graders ask.
    """

    text: Template | MultimodalTemplate | None
    graders: tuple[GraderSpec, ...] = ()
    roles: tuple[RoleReference, ...] = ()

    @property
    def variables(self) -> frozenset[str]:
        """The variables that every case must have for this turn's message."""
        return frozenset() if self.text is None else self.text.variables

    def content(
        self, variables: Mapping[str, Any], folder: Path | None
    ) -> str | tuple[Text | Image, ...] | None:
        """The message for one case, None where there is none; `folder` is the case's file's.
        Raises TemplateError.
        """
        if self.text is None:
            return None
        return (
            self.text.render(variables)
            if isinstance(self.text, Template)
            else self.text.content(variables, folder)
        )


class PromptBuilder(Protocol):
    """Builds the messages of a prompt from a case's variables, by code of the user's."""

    reference: str

    def messages(self, variables: Mapping[str, Any]) -> tuple[Message, ...]:
        """The messages for one case. Raises TemplateError."""


class Prompt(Struct, frozen=True):
    """A prompt: the turns of a chat, or a plain text to complete; `place` is where it is written.

    `raw` marks a text that holds the chat template's special tokens itself. `later_turns` make it
    multi-turn. `conversation` is the expression for a list of turns that each case holds, in the
    place of `turns`.
    """

    id: str
    turns: tuple[tuple[TurnRole, Template | MultimodalTemplate], ...]
    place: Place
    text: Template | None = None
    raw: bool = False
    later_turns: tuple[LaterTurn, ...] = ()
    conversation: Template | None = None
    function: PromptBuilder | None = None

    def render(
        self, variables: Mapping[str, Any], folder: Path | None = None
    ) -> tuple[Message, ...]:
        """The messages for one case; `folder` is the case's file's. Raises TemplateError, naming
        the prompt.
        """
        try:
            if self.function is not None:
                return self.function.messages(variables)
            if self.conversation is not None:
                return _render_conversation(self.conversation, variables)
            return tuple(
                [
                    Message(
                        role,
                        turn.render(variables)
                        if isinstance(turn, Template)
                        else turn.content(variables, folder),
                    )
                    for role, turn in self.turns
                ]
            )
        except TemplateError as error:
            raise self._name_error(error) from None

    def render_text(self, variables: Mapping[str, Any]) -> str | None:
        """The text to complete for one case, None where the prompt has turns. Raises
        TemplateError.
        """
        try:
            return None if self.text is None else self.text.render(variables)
        except TemplateError as error:
            raise self._name_error(error) from None

    def _name_error(self, error: TemplateError) -> TemplateError:
        return TemplateError(f"prompt `{self.id}`: {error.message}", error.place)

    @property
    def multimodal_turns(self) -> tuple[MultimodalTemplate, ...]:
        """The turns that show images, later turns apart."""
        return tuple([turn for _, turn in self.turns if not isinstance(turn, Template)])

    @property
    def variables(self) -> frozenset[str]:
        """The variables that every case must have, those of later turns apart."""
        return frozenset[str]().union(*(template.variables for template in self.templates))

    @property
    def templates(self) -> Sequence[Template]:
        """Every template of the prompt, those of later turns apart."""
        turns = [turn for _, turn in self.turns]
        single = [each for each in (self.text, self.conversation) if each is not None]
        return [each for turn in (*turns, *single) for each in templates_of(turn)]


def templates_of(turn: Template | MultimodalTemplate) -> Sequence[Template]:
    """Every template of a turn."""
    return [turn] if isinstance(turn, Template) else turn.templates


def _render_conversation(template: Template, variables: Mapping[str, Any]) -> tuple[Message, ...]:
    value = template.value(variables)
    try:
        return read_conversation(value)
    except ValueError as wrong:
        raise TemplateError(str(wrong), template.place) from None


class RoleReference(Struct, frozen=True):
    """A grader or simulated user that asks another target, with these sampling parameters;
    `place` is where it names it.
    """

    target: str
    sampling: Mapping[str, Any]
    place: Place


class CaseSampling(Struct, frozen=True):
    """Sampling parameters that single cases set, and where the first of these cases is written."""

    sampling: Mapping[str, Any]
    place: Place


class TurnCounts(NamedTuple):
    """How many messages some later turns say, and the target of each judge among their graders."""

    messages: int = 0
    judges: tuple[str, ...] = ()


def count_turns(later: Iterable[LaterTurn]) -> TurnCounts:
    """The counts of some later turns."""
    turns = tuple(later)
    judges = tuple(role.target for turn in turns for role in turn.roles)
    return TurnCounts(sum(turn.text is not None for turn in turns), judges)


class CaseForm(NamedTuple):
    """What a case sets itself of whom its trials ask: its prompts, the target of each judge among
    its graders, and its later turns; None where it sets nothing.
    """

    prompts: tuple[str, ...] | None = None
    judges: tuple[str, ...] | None = None
    turns: TurnCounts | None = None


USUAL = CaseForm()
"""The form of a case that sets nothing of this itself."""


class Case(Struct, frozen=True):
    """A row of the dataset: one question's variables, and what is expected of the answer.

    `expected` is for graders: no prompt sees it. `sampling` and `graders` are the case's own, else
    None; its graders replace the eval's. `threshold` is the score from which it passes. `folder` is
    the folder of the file it is written in. `later_turns` replace the prompt's unless None; `tools`
    maps tools to their results in this case. `row` is the file and line of a case without an id of
    its own (`cases.csv:17`), by which reports name it. `prompts` are the ids of those it is asked
    in, None for all. `roles` are the targets that its graders ask.
    """

    id: str
    vars: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    sampling: Mapping[str, Any] | None = None
    graders: tuple[GraderSpec, ...] | None = None
    folder: Path | None = None
    later_turns: tuple[LaterTurn, ...] | None = None
    tools: Mapping[str, Any] | None = None
    row: str = ""
    prompts: tuple[str, ...] | None = None
    roles: tuple[RoleReference, ...] = ()

    @property
    def form(self) -> CaseForm:
        """What it sets itself of whom its trials ask."""
        if self.prompts is None and self.graders is None and self.later_turns is None:
            return USUAL
        return CaseForm(
            self.prompts,
            None if self.graders is None else tuple(role.target for role in self.roles),
            None if self.later_turns is None else count_turns(self.later_turns),
        )

    def is_asked_in(self, prompt: str) -> bool:
        """Whether the prompt with this id is asked with the case."""
        return self.prompts is None or prompt in self.prompts
