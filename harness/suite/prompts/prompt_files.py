"""Prompts in files: which texts name a file, what a pattern of names stands for, and messages in
JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path, PurePath

from harness.config.diagnostics import Place, Problems, display_path, quote_value
from harness.config.fields import read_model
from harness.config.yaml import Document
from harness.suite.prompts.markdown_turns import WrittenTurn
from harness.suite.schema import MessageFile
from harness.suite.source import Source

SUFFIXES = (".md", ".markdown", ".txt", ".json", ".jinja", ".jinja2", ".j2")
MAX_FILES = 1000

_PATH = re.compile(r"\S*(?:/\S*|\.\w{1,9})")
"""One word with a slash in it, or with an ending such as a file has."""


def names_file(text: str, folder: Path) -> bool:
    """Whether a bare text in `prompts:` is the name of a file, or a pattern of names; else it is
    what the user says.
    """
    if "\n" in text or "{{" in text or "{%" in text:
        return False
    return (
        text.lower().endswith(SUFFIXES)
        or _PATH.fullmatch(text) is not None
        or (len(text) < 256 and (folder / text).is_file())
    )


def find_prompt_files(reference: str, source: Source, place: Place) -> list[str]:
    """The files that a name or a pattern such as `prompts/*.md` stands for, sorted; a problem is
    noted where a pattern fits none.
    """
    if not has_magic(reference) or PurePath(reference).is_absolute():
        return [reference]
    names = glob(reference, root_dir=source.folder)  # noqa: PTH207 - as they are written
    found = sorted(name for name in names if (source.folder / name).is_file())
    if not found:
        source.problems.add(place, f"no file matches the pattern {quote_value(reference)}")
    if len(found) > MAX_FILES:
        source.problems.add(
            place, f"{len(found):,} files match {quote_value(reference)}; narrow the pattern"
        )
    return found[:MAX_FILES]


def read_message_file(path: Path, text: str, problems: Problems) -> Iterator[WrittenTurn]:
    """The turns in a JSON file: a list of messages, or an object whose `messages` are one."""
    name = display_path(path)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as invalid:
        problems.add(Place(name, invalid.lineno, invalid.colno), f"not JSON: {invalid.msg}")
        return
    except (ValueError, RecursionError) as invalid:
        problems.add(Place(name), f"not JSON: {invalid}")
        return
    value = {"messages": value} if isinstance(value, list) else value
    document = Document.at_place(value, Place(name))
    file = read_model(MessageFile, value, document, problems)
    for number, message in enumerate(file.messages if file is not None else ()):
        place = Place(f"{name}: message {number + 1}")
        images = tuple((image, place) for image in message.images)
        yield WrittenTurn(message.role, message.content, place, images, path.parent)
