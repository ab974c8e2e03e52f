"""Reads prompts: inline texts and messages, files of several kinds, and functions that build them.

Inline text is taken verbatim, trailing newline included. Images are listed under `images:` and come
before the text; in a file, a line that is exactly `![](…)` places an image there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from harness.config import templates
from harness.config.diagnostics import KeyPath, Place, display_path, quote_value
from harness.config.fields import check_name
from harness.config.templates import Template
from harness.hashing import hash_bytes
from harness.suite.code_references import FUNCTION_REFERENCE, find_function_file
from harness.suite.model import ImageTemplate, MultimodalTemplate, Prompt, TurnRole
from harness.suite.prompts.later_turns import LaterTurnReader
from harness.suite.prompts.markdown_turns import WrittenTurn, parse_markdown_turns, split_images
from harness.suite.prompts.prompt_files import find_prompt_files, names_file, read_message_file
from harness.suite.prompts.prompt_function import PromptFunction
from harness.suite.schema import PromptSpec, TurnSpec
from harness.suite.source import Source

INLINE_ROLES: tuple[TurnRole, ...] = ("system", "user", "assistant")


class PromptReader:
    """Reads the `prompts:` of one source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._problems = source.problems

    def read(self, items: Sequence[str | PromptSpec | None], at: KeyPath) -> tuple[Prompt, ...]:
        """The prompts of the list at `at`, with unique ids; problems are noted."""
        found = [
            self._read_prompt(spec, index, (*at, index))
            for index, item in enumerate(items)
            if item is not None
            for spec in self._expand_item(item, (*at, index))
        ]
        prompts = tuple(prompt for prompt in found if prompt is not None)
        taken: set[str] = set()
        for prompt in prompts:
            if prompt.id in taken:
                self._problems.add(
                    prompt.place,
                    f"two prompts have the id `{prompt.id}`; give each its own with `id:`",
                )
            taken.add(prompt.id)
        return prompts

    def _expand_item(self, item: str | PromptSpec, at: KeyPath) -> Iterable[PromptSpec]:
        """The prompts that an item stands for: a bare text is the user's turn, the name of a file,
        or a pattern of names.
        """
        if isinstance(item, PromptSpec):
            return (item,)
        place = self._source.place_of(at)
        if not names_file(item, self._source.folder):
            return (PromptSpec(user=item),)
        return [PromptSpec(file=file) for file in find_prompt_files(item, self._source, place)]

    def _read_prompt(self, item: PromptSpec, index: int, at: KeyPath) -> Prompt | None:
        place = self._source.place_of(at)
        default = (
            self._name_from_file(item.file, place)
            if item.file
            else item.python.rpartition(":")[2]
            if item.python
            else "prompt"
            if index == 0
            else f"prompt-{index + 1}"
        )
        conversation = (
            self._read_conversation(item.messages, (*at, "messages"))
            if isinstance(item.messages, str)
            else None
        )
        turns = tuple(
            turn
            for each in self._read_turns(item, at)
            if (turn := self._compile_turn(each)) is not None
        )
        if item.prompt is not None:
            text = next((each for _, each in turns if isinstance(each, Template)), None)
            return Prompt(item.id or default, (), place, text, item.raw)
        later = LaterTurnReader(self._source).read(item.turns, (*at, "turns"))
        function = None if item.python is None else self._find_function(item.python, at)
        return Prompt(
            item.id or default,
            turns,
            place,
            later_turns=later or (),
            conversation=conversation,
            function=function,
        )

    def _find_function(self, reference: str, at: KeyPath) -> PromptFunction | None:
        """The function that builds a prompt; None, with a problem, where there is none."""
        place = self._source.place_of((*at, "python"))
        match = FUNCTION_REFERENCE.fullmatch(reference)
        if match is None:
            self._problems.add(
                place, "name a Python file and a function in it, such as prompts.py:build"
            )
            return None
        before = len(self._problems)
        path = find_function_file(match["file"], match["name"], self._source, place)
        if path is None or len(self._problems) > before:
            return None
        hashed = f"{reference}@{hash_bytes(path.read_bytes())}"
        return PromptFunction(path, match["name"], hashed, place)

    def _read_conversation(self, text: str, at: KeyPath) -> Template | None:
        """The expression for the conversation of a case; None, with a problem, where it is none."""
        place = self._source.text_place_of(at)
        try:
            template = self._source.compile_for_model(text, place, "a prompt")
        except templates.TemplateError as error:
            self._problems.add(error.place, error.message)
            return None
        if not template.is_expression:
            self._problems.add(
                place,
                "`messages` must be a list of messages, or one {{ expression }} for each case's"
                " list; write plain text as {user: …}",
            )
            return None
        return template

    def _name_from_file(self, file: str, place: Place) -> str:
        try:
            return check_name(PurePosixPath(file).stem)
        except ValueError:
            self._problems.add(place, f"{quote_value(file)} cannot name a prompt; give it an `id:`")
            return "prompt"

    def _read_turns(self, spec: PromptSpec, at: KeyPath) -> Iterator[WrittenTurn]:
        if spec.file is not None:
            yield from self._read_file(spec.file, self._source.place_of((*at, "file")))
        elif spec.prompt is not None:
            yield WrittenTurn("user", spec.prompt, self._source.text_place_of((*at, "prompt")))
        elif isinstance(spec.messages, list):
            yield from self._read_messages(spec.messages, (*at, "messages"))
        elif spec.messages is None and spec.python is None:
            for role in INLINE_ROLES:
                text: str | None = getattr(spec, role)
                if text is not None:
                    images = self._image_references(spec.images, at) if role == "user" else ()
                    yield WrittenTurn(role, text, self._source.text_place_of((*at, role)), images)

    def _read_messages(self, messages: Sequence[TurnSpec], at: KeyPath) -> Iterator[WrittenTurn]:
        for index, message in enumerate(messages):
            here = (*at, index)
            yield WrittenTurn(
                message.role,
                message.content,
                self._source.text_place_of((*here, "content")),
                self._image_references(message.images, here),
            )

    def _image_references(
        self, images: Sequence[str], at: KeyPath
    ) -> tuple[tuple[str, Place], ...]:
        return tuple(
            (image, self._source.place_of((*at, "images", index)))
            for index, image in enumerate(images)
        )

    def _read_file(self, reference: str, place: Place) -> Iterator[WrittenTurn]:
        found = self._source.read_named_text(reference, place)
        if found is None:
            return
        path, text = found
        if path.suffix.lower() == ".json":
            yield from read_message_file(path, text, self._problems)
            return
        for turn in parse_markdown_turns(text, display_path(path), self._problems):
            yield turn._replace(folder=path.parent, marked=True)

    def _compile_turn(
        self, turn: WrittenTurn
    ) -> tuple[TurnRole, Template | MultimodalTemplate] | None:
        pieces = [
            *((text, place, True) for text, place in turn.images),
            *split_images(turn, self._problems),
        ]
        folder: Path = turn.folder or self._source.folder
        parts: list[Template | ImageTemplate] = []
        try:
            for text, place, is_image in pieces:
                template = self._source.compile_for_model(text, place, "a prompt")
                parts.append(ImageTemplate(template, folder) if is_image else template)
        except templates.TemplateError as error:
            self._problems.add(error.place, error.message)
            return None
        if len(parts) == 1 and isinstance(parts[0], Template):
            return turn.role, parts[0]
        return turn.role, MultimodalTemplate(tuple(parts), self._source.files.images)
