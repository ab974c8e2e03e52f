"""Reads the arguments of an operation: a grader, or a step that extracts what is graded.

Arguments that hold templates are checked once they are rendered, all others now. Files that they
name are resolved here, because graders open no files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.config import templates
from harness.config.diagnostics import KeyPath, Place, display_path
from harness.config.fields import explain_errors, value_at
from harness.config.javascript_engine import find_syntax_fault
from harness.graders.base import Operation
from harness.suite.code_references import FUNCTION_REFERENCE, find_function_file
from harness.suite.source import Source

_TEXT_FILE = re.compile(r"[^\n{}]+\.(?:md|markdown|txt)")


class ArgumentReader:
    """Reads the arguments of the operations of one source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._problems = source.problems

    def expand(self, operation: Operation[Any], bare: Any, at: KeyPath) -> dict[str, Any] | None:
        """The arguments in the long form, files apart; None, with a problem noted, where there are
        none."""
        try:
            return operation.expand_arguments(bare)
        except ValueError as wrong:
            self._source.add_problem(at, str(wrong))
            return None

    def check(
        self, operation: Operation[Any], arguments: dict[str, Any], at: KeyPath
    ) -> BaseModel | None:
        """Validates arguments with the grader's own model; None, with problems noted, where they
        are invalid.

        Templates are checked for syntax; values that are invalid only because a template is not yet
        rendered are not noted.
        """
        for location, text in templates.templates_in(arguments):
            self._source.check_template(text, self._source.place_of((*at, *location)))
        readers: dict[int, type[BaseModel]] = {id(arguments): operation.arguments}
        try:
            checked: BaseModel = operation.arguments.model_validate(arguments, context=readers)
        except ValidationError as invalid:
            for place, message in explain_errors(
                invalid,
                arguments,
                self._source.document,
                at,
                readers,
                lambda error: not _waits_for_rendering(error, arguments),
            ):
                self._problems.add(place, message)
            return None
        return checked

    def resolve_file(self, name: str, value: Any, at: KeyPath) -> Any:
        """The value of an argument that may name a file: the JSON or the code in the file, or a
        function's absolute address.
        """
        place = self._source.place_of(at)
        if not isinstance(value, str):
            return templates.Verbatim(value) if isinstance(value, dict) else value
        if name == "python":
            return self._resolve_function(value, place)
        if name == "judge":
            return self._read_rubric(value, place)
        if name == "javascript":
            return self._read_script(value, place)
        if templates.is_template(value):
            return value
        loaded = self._source.read_named_json(value, place)
        return (
            templates.Verbatim(loaded)
            if isinstance(loaded, dict)
            else loaded
            if loaded is not None
            else {}
        )

    def _read_rubric(self, value: str, place: Place) -> str:
        """A rubric: the text itself, or the content of the file it names (.md, .markdown, .txt),
        which is a template too.
        """
        if not _TEXT_FILE.fullmatch(value):
            return value
        found = self._source.read_named_text(value, place)
        if found is None:
            return value
        path, text = found
        self._source.check_template(text, Place(display_path(path), 1, 1))
        return text

    def _read_script(self, value: str, place: Place) -> str:
        """JavaScript: the text itself, or the code of the file it names, which is compiled here so
        that what is wrong in it is noted there.
        """
        from harness.graders.functions import javascript  # noqa: PLC0415 - only for suites with it

        match = javascript.FILE_REFERENCE.fullmatch(value)
        if not match:
            return value
        found = self._source.read_named_text(match["file"], place)
        if found is None:
            return templates.VerbatimText("undefined")
        path, text = found
        name = match["name"]
        fault = find_syntax_fault(text)
        if fault is not None:
            at = Place(display_path(path), fault.line or 1, 1)
            self._problems.add(at, f"not JavaScript: {fault.message}")
            return templates.VerbatimText("undefined")
        if name is not None and not re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", text):
            self._problems.add(place, f"the file has no function `{name}`")
        return templates.VerbatimText(javascript.wrap_file(text, name))

    def _resolve_function(self, value: str, place: Place) -> str:
        if templates.is_template(value):
            self._problems.add(
                place,
                "a grader's file cannot be a template, because a case's data must not choose"
                " which code runs; write the file's name",
            )
        match = FUNCTION_REFERENCE.fullmatch(value)
        if templates.is_template(value) or not match:
            return value
        path = find_function_file(match["file"], match["name"], self._source, place)
        return value if path is None else f"{path}:{match['name']}"


def _waits_for_rendering(error: ErrorDetails, arguments: Mapping[str, Any]) -> bool:
    """Whether the error is about a value that holds a template and is not rendered yet."""
    return error["type"] not in ("missing", "extra_forbidden") and any(
        templates.templates_in(value_at(arguments, error["loc"]))
    )
