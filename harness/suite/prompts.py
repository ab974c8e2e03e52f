"""Reads prompts: inline, a list of messages, or a Markdown file whose headings open the turns; and
multi-turn `turns:`.

In a file, a line that is exactly `# system`, `# user` or `# assistant` (outside a fenced block)
opens a turn; blank lines around a turn's text are layout and not part of it. Inline text is taken
verbatim, trailing newline included.

Images are listed under `images:` and come before the text; in a file, a line that is exactly
`![](…)` places an image there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, cast, get_args

from harness.config import templates
from harness.config.diagnostics import KeyPath, Place, Problems, display_path, quote_value
from harness.config.fields import check_name
from harness.config.templates import Template
from harness.suite.grader_specs import GraderReader, grader_variables
from harness.suite.model import (
    ImageTemplate,
    LaterTurn,
    MultimodalTemplate,
    Prompt,
    RoleReference,
    TurnRole,
)
from harness.suite.schema import LaterTurnSpec as Written
from harness.suite.schema import PromptSpec
from harness.suite.source import Source

ROLES: tuple[TurnRole, ...] = get_args(TurnRole)

_HEADING = re.compile(r"#\s+(\w+)\s*")
_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")
_IMAGE = re.compile(r"\s{0,3}!\[(?P<alternative>.*)\]\((?P<source>.*)\)\s*")
_WORDS = re.compile(r"(?s)(?!.*\.\w{1,9}$).*\s.*")
"""Words, and no ending of a file: a prompt that somebody wrote where a file is named."""


class _Turn(NamedTuple):
    """One turn as written, with its place; its images come before the text, each with its place.

    `folder` is that of the Markdown file, whose lines may name images too (`marked`).
    """

    role: TurnRole
    text: str
    place: Place
    images: tuple[tuple[str, Place], ...] = ()
    folder: Path | None = None
    marked: bool = False


class PromptReader:
    """Reads the `prompts:` of one source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._problems = source.problems

    def read(self, items: Sequence[str | PromptSpec | None], at: KeyPath) -> tuple[Prompt, ...]:
        """The prompts of the list at `at`, with unique ids; problems are noted."""
        found = [
            self._read_prompt(item, index, (*at, index))
            for index, item in enumerate(items)
            if item is not None
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

    def _read_prompt(self, item: str | PromptSpec, index: int, at: KeyPath) -> Prompt | None:
        place = self._source.place_of(at)
        if isinstance(item, str):
            if "\n" in item or "{{" in item:
                self._problems.add(place, "a bare text names a file; write the prompt as {user: …}")
                return None
            item = PromptSpec(file=item)
        default = (
            self._name_from_file(item.file, place)
            if item.file
            else "prompt"
            if index == 0
            else f"prompt-{index + 1}"
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
        return Prompt(item.id or default, turns, place, later_turns=later or ())

    def _name_from_file(self, file: str, place: Place) -> str:
        try:
            return check_name(PurePosixPath(file).stem)
        except ValueError:
            self._problems.add(place, f"{quote_value(file)} cannot name a prompt; give it an `id:`")
            return "prompt"

    def _read_turns(self, spec: PromptSpec, at: KeyPath) -> Iterator[_Turn]:
        if spec.file is not None:
            yield from self._read_file(spec.file, self._source.place_of((*at, "file")))
        elif spec.prompt is not None:
            yield _Turn("user", spec.prompt, self._source.text_place_of((*at, "prompt")))
        elif spec.messages is not None:
            for index, message in enumerate(spec.messages):
                here = (*at, "messages", index)
                place = self._source.text_place_of((*here, "content"))
                yield _Turn(
                    message.role,
                    message.content,
                    place,
                    self._image_references(message.images, here),
                )
        else:
            for role in ROLES:
                text: str | None = getattr(spec, role)
                if text is not None:
                    images = self._image_references(spec.images, at) if role == "user" else ()
                    yield _Turn(role, text, self._source.text_place_of((*at, role)), images)

    def _image_references(
        self, images: Sequence[str], at: KeyPath
    ) -> tuple[tuple[str, Place], ...]:
        return tuple(
            (image, self._source.place_of((*at, "images", index)))
            for index, image in enumerate(images)
        )

    def _read_file(self, reference: str, place: Place) -> Iterator[_Turn]:
        if _WORDS.fullmatch(reference):
            self._problems.add(
                place,
                f"{quote_value(reference)} is no file's name; write a prompt's text as {{user: …}}",
            )
            return
        found = self._source.read_named_text(reference, place)
        if found is not None:
            path, text = found
            for turn in parse_markdown_turns(text, display_path(path), self._problems):
                yield turn._replace(folder=path.parent, marked=True)

    def _compile_turn(self, turn: _Turn) -> tuple[TurnRole, Template | MultimodalTemplate] | None:
        pieces = [
            *((text, place, True) for text, place in turn.images),
            *_split_images(turn, self._problems),
        ]
        folder = turn.folder or self._source.folder
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


def _split_images(turn: _Turn, problems: Problems) -> Iterator[tuple[str, Place, bool]]:
    """Splits a turn's text at its image lines into (text, place, whether it names an image).

    Blank lines around an image are layout.
    """
    lines = turn.text.splitlines(keepends=True)
    images = list(_image_lines(lines, turn.place, problems)) if turn.marked else []
    if not images:
        yield turn.text, turn.place, False
        return
    begin = 0
    for index, source in [*images, (len(lines), None)]:
        filled = [each for each in range(begin, index) if lines[each].strip()]
        if filled:
            text = "".join(lines[filled[0] : filled[-1] + 1]).removesuffix("\n").removesuffix("\r")
            yield text, _line_place(turn.place, filled[0]), False
        if source is not None:
            yield source, _line_place(turn.place, index), True
        begin = index + 1


def _image_lines(
    lines: Sequence[str], place: Place, problems: Problems
) -> Iterator[tuple[int, str]]:
    """Yields (index, reference) of each line that is an image."""
    for index, line in _unfenced_lines(lines):
        match = _IMAGE.fullmatch(line)
        if match is None:
            continue
        if match["alternative"]:
            problems.add(
                _line_place(place, index),
                f"the text in `![{match['alternative']}]` would not be sent; leave it empty, or put"
                " the line in a fenced block",
            )
        yield index, match["source"].strip()


def _line_place(place: Place, index: int) -> Place:
    return Place(place.path, None if place.line is None else place.line + index, 1)


def _unfenced_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yields (index, line) of each line outside fenced blocks."""
    fence = None
    for index, line in enumerate(lines):
        if marker := _FENCE.match(line):
            fence = (
                marker[1][:3]
                if fence is None
                else None
                if line.lstrip().startswith(fence)
                else fence
            )
        if fence is None:
            yield index, line


def parse_markdown_turns(text: str, path: str, problems: Problems) -> Iterator[_Turn]:
    """The turns of a Markdown prompt; without headings, the whole text is the user's turn."""
    lines = text.splitlines(keepends=True)
    headings = list(_find_headings(lines, path, problems))
    if not headings:
        yield from _parse_turn("user", lines, 0, path, problems)
        return
    if "".join(lines[: headings[0][0]]).strip():
        problems.add(
            Place(path, 1),
            "text before the first heading belongs to no turn; begin with `# system` or `# user`",
        )
    ends = [index for index, _ in headings[1:]] + [len(lines)]
    for (index, role), end in zip(headings, ends, strict=True):
        yield from _parse_turn(role, lines[index + 1 : end], index + 1, path, problems)


def _find_headings(
    lines: Sequence[str], path: str, problems: Problems
) -> Iterator[tuple[int, TurnRole]]:
    """Yields (index of the line, role) of each line that opens a turn."""
    for index, line in _unfenced_lines(lines):
        match = _HEADING.fullmatch(line)
        if match and match[1] in ROLES:
            yield index, cast("TurnRole", match[1])
        elif match and match[1].lower() in (*ROLES, "tool", "developer"):
            problems.add(
                Place(path, index + 1),
                f"`# {match[1]}` opens no turn; write `# system`, `# user` or `# assistant`",
            )


def _parse_turn(
    role: TurnRole, lines: Sequence[str], before: int, path: str, problems: Problems
) -> Iterator[_Turn]:
    """The turn in `lines`, which begin `before` lines into the file."""
    filled = [index for index, line in enumerate(lines) if line.strip()]
    if not filled:
        problems.add(
            Place(path, max(before, 1)),
            f"the {role} turn is empty; say something or remove its heading",
        )
        return
    text = "".join(lines[filled[0] : filled[-1] + 1]).removesuffix("\n").removesuffix("\r")
    yield _Turn(role, text, Place(path, before + filled[0] + 1, 1))


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
        specs = reader.assign_ids(reader.read(item.graders, at), at)
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
        return (
            "the item shows `images` and says nothing; give it `user:`, what the user says with"
            " them"
        )
    if number > 1:
        return (
            "the item has no `user`: only the first of `turns` may be without, and judges the first"
            " answer; give it `user:`, what the user says before the answer it judges"
        )
    if not item.graders:
        return (
            "the item has no `user` and no `graders`; give it `user:`, what the user says, or"
            " `graders` of the first answer"
        )
    return None
