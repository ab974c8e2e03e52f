"""The parts of a loaded suite: prompts, graders and cases, checked, resolved and immutable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from harness.config.diagnostics import Place, quote_value
from harness.config.templates import Template, TemplateError
from harness.graders.base import GraderSpec
from harness.model import Image, Message, Text
from harness.suite.files import ImageError, ImageFiles

TurnRole = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class ImageTemplate:
    """A template that names images; `folder` is that of the file it stands in."""

    template: Template
    folder: Path

    def iter_references(self, variables: Mapping[str, Any], folder: Path | None) -> Iterator[tuple[str, Path]]:
        """Each path or data URI, and the folder a path is relative to. Raises TemplateError."""
        of_case = self.template.is_expression
        value = self.template.value(variables)
        for each in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(each, str) or not each.strip():
                raise TemplateError(
                    f"an image is named by a path or a data URI, not by {quote_value(each)}", self.template.place
                )
            yield each, (folder or self.folder) if of_case else self.folder


@dataclass(frozen=True, slots=True)
class MultimodalTemplate:
    """What a turn says and shows, in order; stands where a turn without images has its Template."""

    parts: tuple[Template | ImageTemplate, ...]
    files: ImageFiles

    def content(self, variables: Mapping[str, Any], folder: Path | None) -> tuple[Text | Image, ...]:
        """The parts of a message. Raises TemplateError, and InfrastructureError where a file has changed."""
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
        """The names it needs."""
        return frozenset[str]().union(*(template.variables for template in self.templates))

    @property
    def source(self) -> str:
        """The turn as a Markdown prompt has it."""
        return "\n".join(
            f"![]({part.template.source})" if isinstance(part, ImageTemplate) else part.source for part in self.parts
        )

    def _load_images(self, picture: ImageTemplate, variables: Mapping[str, Any], folder: Path | None) -> Iterator[Image]:
        for reference, base in picture.iter_references(variables, folder):
            try:
                yield self.files.image(reference, base)
            except ImageError as wrong:
                raise TemplateError(str(wrong), picture.template.place) from None


@dataclass(frozen=True, slots=True)
class LaterTurn:
    """What the user says (and shows) after an answer; the graders of the answer to it, and whom they ask.

    Without `text` nothing is said, and the graders judge the first answer; only the first turn can be so.
    """

    text: Template | MultimodalTemplate | None
    graders: tuple[GraderSpec, ...] = ()
    roles: tuple[RoleReference, ...] = ()

    @property
    def variables(self) -> frozenset[str]:
        """The names every case must give a value for what is said."""
        return frozenset() if self.text is None else self.text.variables

    def content(self, variables: Mapping[str, Any], folder: Path | None) -> str | tuple[Text | Image, ...] | None:
        """What is said for one case's variables, None where nothing is; `folder` is its file's. Raises TemplateError."""
        if self.text is None:
            return None
        return self.text.render(variables) if isinstance(self.text, Template) else self.text.content(variables, folder)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Turns to fill in, or plain text to be completed; `place` is where the prompt stands, for messages.

    `raw` says that the text holds the chat template's tokens itself. `later` is what the user says after the answers.
    """

    id: str
    turns: tuple[tuple[TurnRole, Template | MultimodalTemplate], ...]
    place: Place
    text: Template | None = None
    raw: bool = False
    later: tuple[LaterTurn, ...] = ()

    def render(self, variables: Mapping[str, Any], folder: Path | None = None) -> tuple[Message, ...]:
        """The messages for one case's variables; `folder` is its file's. Raises TemplateError, naming the prompt."""
        try:
            return tuple(
                [
                    Message(role, turn.render(variables) if isinstance(turn, Template) else turn.content(variables, folder))
                    for role, turn in self.turns
                ]
            )
        except TemplateError as error:
            raise self._name_error(error) from None

    def render_text(self, variables: Mapping[str, Any]) -> str | None:
        """The plain text for one case's variables, None where the prompt has turns. Raises TemplateError, naming the prompt."""
        try:
            return None if self.text is None else self.text.render(variables)
        except TemplateError as error:
            raise self._name_error(error) from None

    def _name_error(self, error: TemplateError) -> TemplateError:
        return TemplateError(f"prompt `{self.id}`: {error.message}", error.place)

    @property
    def multimodal_turns(self) -> tuple[MultimodalTemplate, ...]:
        """The turns that hold images, but for later ones."""
        return tuple([turn for _, turn in self.turns if not isinstance(turn, Template)])

    @property
    def variables(self) -> frozenset[str]:
        """The names every case must give a value."""
        templates = (*(template for _, template in self.turns), *((self.text,) if self.text else ()))
        return frozenset[str]().union(*(template.variables for template in templates))


@dataclass(frozen=True, slots=True)
class RoleReference:
    """A grader or simulated user asks the target of this name, with these sampling parameters; `place` is where it says so."""

    target: str
    sampling: Mapping[str, Any]
    place: Place


@dataclass(frozen=True, slots=True)
class CaseSampling:
    """Sampling parameters that some cases have to themselves, and where the first of these stands."""

    sampling: Mapping[str, Any]
    place: Place


class Case(Struct, frozen=True):
    """One question's variables and what is expected of the answer.

    `expected` is for graders: no prompt sees it. `sampling` and `graders` are this case's own, else None; its graders replace
    the eval's. `threshold` is the score from which it passes. `folder` is that of the file the case stands in.
    `later` are this case's own turns, None for the prompt's; `tools` is what its tools do, by name.
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
    later: tuple[LaterTurn, ...] | None = None
    tools: Mapping[str, Any] | None = None
