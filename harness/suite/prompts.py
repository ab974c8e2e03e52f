"""Prompts: inline, as a list of messages, or a Markdown file whose headings are the turns.

In a file, a line that is exactly `# system`, `# user` or `# assistant` (outside a fenced block) opens a turn; the blank lines
around a turn's text are the file's layout and not part of it. Inline text is taken as it is, trailing newline and all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, cast, get_args

from harness.suite import templates
from harness.suite.files import Files
from harness.suite.language import checked_name
from harness.suite.nouns import Prompt, TurnRole
from harness.suite.problems import Location, Place, Problems, shown, shown_path
from harness.suite.schema import PromptSpec
from harness.suite.templates import Template
from harness.suite.yaml import Document

ROLES: tuple[TurnRole, ...] = get_args(TurnRole)

_HEADING = re.compile(r"#\s+(\w+)\s*")
_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")


class _Turn(NamedTuple):
    """One turn as written, and where its text begins."""

    role: TurnRole
    text: str
    place: Place


class PromptReader:
    """Reads the `prompts:` of one document, whose folder is `base`."""

    def __init__(self, files: Files, base: Path, document: Document, problems: Problems) -> None:
        self._files = files
        self._base = base
        self._document = document
        self._problems = problems

    def read(self, items: Sequence[str | PromptSpec | None], at: Location) -> tuple[Prompt, ...]:
        """The prompts of the list at `at`, each with an id of its own; what is wrong is noted."""
        found = [self._prompt(item, index, (*at, index)) for index, item in enumerate(items) if item is not None]
        prompts = tuple(prompt for prompt in found if prompt is not None)
        taken: set[str] = set()
        for prompt in prompts:
            if prompt.id in taken:
                self._problems.add(prompt.place, f"two prompts have the id `{prompt.id}`; give each its own with `id:`")
            taken.add(prompt.id)
        return prompts

    def _prompt(self, item: str | PromptSpec, index: int, at: Location) -> Prompt | None:
        place = self._document.place(at)
        if isinstance(item, str):
            if "\n" in item or "{{" in item:
                self._problems.add(place, "a bare text names a file; write the prompt as {user: …}")
                return None
            item = PromptSpec(file=item)
        default = self._name_of(item.file, place) if item.file else "prompt" if index == 0 else f"prompt-{index + 1}"
        turns = [self._compiled(turn) for turn in self._turns(item, at)]
        return Prompt(item.id or default, tuple(turn for turn in turns if turn is not None), place)

    def _name_of(self, file: str, place: Place) -> str:
        try:
            return checked_name(PurePosixPath(file).stem)
        except ValueError:
            self._problems.add(place, f"{shown(file)} cannot name a prompt; give it an `id:`")
            return "prompt"

    def _turns(self, spec: PromptSpec, at: Location) -> Iterator[_Turn]:
        if spec.file is not None:
            yield from self._file(spec.file, self._document.place((*at, "file")))
        elif spec.messages is not None:
            for index, message in enumerate(spec.messages):
                yield _Turn(message.role, message.content, self._document.text_place((*at, "messages", index, "content")))
        else:
            for role in ROLES:
                text: str | None = getattr(spec, role)
                if text is not None:
                    yield _Turn(role, text, self._document.text_place((*at, role)))

    def _file(self, reference: str, place: Place) -> Iterator[_Turn]:
        path = self._files.file(reference, self._base, place)
        text = None if path is None else self._files.text(path, place)
        if path is not None and text is not None:
            yield from turns_of(text, shown_path(path), self._problems)

    def _compiled(self, turn: _Turn) -> tuple[TurnRole, Template] | None:
        try:
            template = templates.compile(turn.text, turn.place)
        except templates.TemplateError as error:
            self._problems.add(error.place, error.message)
            return None
        if "expected" in template.variables | template.optional:
            self._problems.add(turn.place, "a prompt cannot use `expected`: the model would see the answer; remove it")
        return turn.role, template


def turns_of(text: str, path: str, problems: Problems) -> Iterator[_Turn]:
    """The turns of a Markdown prompt; without any heading, the whole text is the user's."""
    lines = text.splitlines(keepends=True)
    headings = list(_headings(lines, path, problems))
    if not headings:
        yield from _turn("user", lines, 0, path, problems)
        return
    if "".join(lines[: headings[0][0]]).strip():
        problems.add(Place(path, 1), "text before the first heading belongs to no turn; begin with `# system` or `# user`")
    ends = [index for index, _ in headings[1:]] + [len(lines)]
    for (index, role), end in zip(headings, ends, strict=True):
        yield from _turn(role, lines[index + 1 : end], index + 1, path, problems)


def _headings(lines: Sequence[str], path: str, problems: Problems) -> Iterator[tuple[int, TurnRole]]:
    """(index of the line, role) of each line that opens a turn."""
    fence = None
    for index, line in enumerate(lines):
        if marker := _FENCE.match(line):
            fence = marker[1][:3] if fence is None else None if line.lstrip().startswith(fence) else fence
        match = None if fence else _HEADING.fullmatch(line)
        if match and match[1] in ROLES:
            yield index, cast("TurnRole", match[1])
        elif match and match[1].lower() in (*ROLES, "tool", "developer"):
            problems.add(Place(path, index + 1), f"`# {match[1]}` opens no turn; write `# system`, `# user` or `# assistant`")


def _turn(role: TurnRole, lines: Sequence[str], before: int, path: str, problems: Problems) -> Iterator[_Turn]:
    """The turn in `lines`, which have `before` lines above them in the file."""
    filled = [index for index, line in enumerate(lines) if line.strip()]
    if not filled:
        problems.add(Place(path, max(before, 1)), f"the {role} turn is empty; say something or remove its heading")
        return
    text = "".join(lines[filled[0] : filled[-1] + 1]).removesuffix("\n").removesuffix("\r")
    yield _Turn(role, text, Place(path, before + filled[0] + 1, 1))
