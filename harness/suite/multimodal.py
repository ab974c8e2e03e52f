"""Turns with images: where a prompt names them, which a case means, and what is known of all of them before the run.

A picture is a template like the text beside it. One that is exactly one `{{ expression }}` names what the case wrote, relative
to the case's file, and a list in it is several pictures; anything else is relative to the prompt's own file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from harness.config.diagnostics import Place, Problems, quote_value
from harness.config.templates import Template, TemplateError
from harness.hashing import canonical_json, hash64
from harness.model import Image, Text
from harness.model.images import file_size
from harness.suite.imagefiles import ImageError, ImageFiles


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


class CaseImage(NamedTuple):
    """An image of a case, and where it is named: bytes of its file, pixels of its longer side."""

    place: Place
    case: str
    media_type: str
    size: int
    side: int


class _Later(Protocol):
    """What is needed of a later turn here."""

    @property
    def text(self) -> Template | MultimodalTemplate | None: ...


class _Prompt(Protocol):
    """What is needed of a prompt here."""

    @property
    def multimodal_turns(self) -> tuple[MultimodalTemplate, ...]: ...
    @property
    def later(self) -> Sequence[_Later]: ...


class _Case(Protocol):
    """What is needed of a case here."""

    @property
    def id(self) -> str: ...
    @property
    def vars(self) -> Mapping[str, Any]: ...
    @property
    def folder(self) -> Path | None: ...
    @property
    def later(self) -> Sequence[_Later] | None: ...


class ImageInventory:
    """The images of one eval's cases, as far as a target may mind them: of each type the largest.

    `heaviest` and `widest` are by media type; `most` is the largest number in one request, with the case that has it, and None
    where there are no images.
    """

    def __init__(self, prompts: Sequence[_Prompt]) -> None:
        self.heaviest: dict[str, CaseImage] = {}
        self.widest: dict[str, CaseImage] = {}
        self.most: tuple[int, str, Place] | None = None
        self._turns = [(prompt.multimodal_turns, _multimodal_turns(prompt.later)) for prompt in prompts]
        self._any = any(first or later for first, later in self._turns)

    def may_have_images(self, case: _Case) -> bool:
        """Whether the case may show images at all."""
        return self._any or bool(case.later)

    def check(self, case: _Case, place: Place, problems: Problems) -> int:
        """Look into every image the case shows in any prompt; what is wrong is noted where it is named.

        Returns a hash of what the images hold, 0 where there are none.
        """
        own = None if case.later is None else _multimodal_turns(case.later)
        hashes = []
        for first, later in self._turns:
            turns = (*first, *(later if own is None else own))
            shown = [each for turn in turns for each in self._check_turn(turn, case, place, problems)]
            if len(shown) > (self.most[0] if self.most else 0):
                self.most = (len(shown), case.id, place)
            hashes.append(shown)
        return hash64(canonical_json([case.id, hashes])) if any(hashes) else 0

    def _check_turn(self, turn: MultimodalTemplate, case: _Case, place: Place, problems: Problems) -> Iterator[str | None]:
        """The hash of each image."""
        for picture in turn.images:
            if not picture.template.variables <= case.vars.keys():  # said already: the case gives no value for one
                continue
            stands = place if picture.template.is_expression else picture.template.place
            try:
                for reference, base in picture.iter_references(case.vars, case.folder):
                    image = turn.files.check(reference, base)
                    self._note_image(CaseImage(stands, case.id, image.media_type, file_size(image), longest_side(image)))
                    yield image.sha256
            except TemplateError as wrong:
                problems.add(stands, f"the case `{case.id}`: {wrong.message}")
            except ImageError as wrong:
                problems.add(stands, f"the case `{case.id}`: {wrong}" if stands is place else str(wrong))

    def _note_image(self, seen: CaseImage) -> None:
        for largest, measure in ((self.heaviest, seen.size), (self.widest, seen.side)):
            known = largest.get(seen.media_type)
            if known is None or measure > (known.size if largest is self.heaviest else known.side):
                largest[seen.media_type] = seen


def _multimodal_turns(later: Sequence[_Later]) -> tuple[MultimodalTemplate, ...]:
    return tuple(turn.text for turn in later if isinstance(turn.text, MultimodalTemplate))


def longest_side(image: Image) -> int:
    """Pixels of the longer side."""
    return max(image.width or 0, image.height or 0)
