"""A document of the suite language with its folder, the files it may name, and the problems
found so far.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from harness.config.diagnostics import KeyPath, Place, Problems, display_path, quote_value
from harness.config.templates import (
    Template,
    TemplateError,
    compile_template,
    find_comments,
    line_of_name,
    offset_place,
)
from harness.config.yaml import Document
from harness.suite.files import WorkspaceFiles


class Source(Struct, frozen=True):
    """A suite, an eval, or a row of cases, as readers take it.

    References to files are relative to `folder`. A reader adds what is wrong to `problems` and goes
    on with what is left.
    """

    document: Document
    folder: Path
    files: WorkspaceFiles
    problems: Problems

    def place_of(self, at: KeyPath = (), *, key: bool = False) -> Place:
        """The place of the value at `at`, or with `key` of its key."""
        return self.document.place_of(at, key=key)

    def text_place_of(self, at: KeyPath) -> Place:
        """The place of the first character of the text at `at`."""
        return self.document.text_place_of(at)

    def add_problem(self, at: KeyPath, message: str, *, key: bool = False) -> None:
        """Note a problem with the value at `at`, or with `key` with its key."""
        self.problems.add(self.place_of(at, key=key), message)

    def open(self, path: Path, place: Place) -> Source | None:
        """The YAML file at `path` as a source; None, with a problem at `place`, where it cannot
        be read.
        """
        document = self.files.read_document(path, place)
        return None if document is None else replace(self, document=document, folder=path.parent)

    def open_optional(self, name: str) -> Source | None:
        """The YAML file `name` in the folder, if there is one; None, with a problem, where it
        cannot be read.
        """
        path = self.folder / name
        place = Place(display_path(path))
        found = self.find_file(name, place) if path.exists() else None
        return None if found is None else self.open(found, place)

    def find_file(self, reference: str, place: Place) -> Path | None:
        """The file that `reference` names; None, with a problem at `place`, where it may not be
        opened.
        """
        return self.files.find_file(reference, self.folder, place)

    def read_named_text(self, reference: str, place: Place) -> tuple[Path, str] | None:
        """The file that `reference` names, and its text; None, with a problem at `place`, where
        it cannot be read.
        """
        path = self.find_file(reference, place)
        text = None if path is None else self.files.read_text(path, place)
        return None if path is None or text is None else (path, text)

    def read_named_json(self, reference: str, place: Place) -> Any:
        """The value in the JSON file that `reference` names; None, with a problem, where it
        cannot be read.
        """
        return self.files.read_json(reference, self.folder, place)

    def compile_for_model(self, text: str, place: Place, user: str) -> Template:
        """Compiles a template whose text the model sees, where `expected` would leak the answer.
        Raises TemplateError.

        `user` is the part of the suite that uses the template, as a message begins with it.
        """
        template = compile_template(text, place)
        if "expected" in template.variables | template.optional:
            self.problems.add(
                offset_place(place, line_of_name("expected", text)),
                f"{user} cannot use `expected`: the model would see the answer; remove it",
            )
        for line, comment in find_comments(text):
            self.problems.add_warning(
                offset_place(place, line),
                f"{quote_value(comment)} is a comment, which is not sent; to send it, put it"
                " between `{% raw %}` and `{% endraw %}`",
            )
        return template

    def check_template(self, text: str, place: Place, user: str | None = None) -> None:
        """Note a template that does not compile, or, where `user` is given, one that leaks the
        expected answer.
        """
        try:
            compile_template(text, place) if user is None else self.compile_for_model(
                text, place, user
            )
        except TemplateError as unreadable:
            self.problems.add(unreadable.place, unreadable.message)
