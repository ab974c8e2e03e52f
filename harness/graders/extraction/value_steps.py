"""Steps that take a value as text: json, number, choice, python, javascript."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, field_validator

from harness.config.diagnostics import quote_text
from harness.config.json_path import find_value, parse_path
from harness.flows.base import Flow
from harness.graders.base import (
    Answer,
    Arguments,
    ExtractionStep,
    GraderError,
    NothingToExtract,
    read_tool_value,
    to_text,
)
from harness.graders.functions.javascript import JavaScript, run_here
from harness.graders.functions.python import Python, call_function
from harness.graders.values.choice import Choices, make_reader
from harness.graders.values.json_blocks import NotJSONError, parse_json_answer
from harness.graders.values.number_grammar import to_digits
from harness.graders.values.number_reading import NumberReading, read_number


class JSONPath(Arguments):
    """Arguments of `json`."""

    path: str = Field("$", description="The JSON path of the value, such as $.items[0].name.")

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        parse_path(path)
        return path


def _take_json(arguments: JSONPath, answer: Answer) -> str:
    try:
        value = parse_json_answer(answer.text)
    except NotJSONError as invalid:
        raise NothingToExtract(str(invalid)) from None
    found = find_value(value, arguments.path)
    if found is None:
        raise NothingToExtract(
            f"there is nothing at {arguments.path} in {quote_text(json.dumps(value))}"
        )
    return to_text(found)


def _take_number(arguments: NumberReading, answer: Answer) -> str:
    found = read_number(answer.text, arguments)
    if found is None:
        kind = "single number" if arguments.which == "only" else "number"
        raise NothingToExtract(f"there is no {kind} in {quote_text(answer.text)}")
    return to_digits(found)


def _take_choice(arguments: Choices, answer: Answer) -> str:
    chosen = make_reader(arguments.options).read(answer.text)
    if chosen is None:
        raise NothingToExtract(f"there is no single choice in {quote_text(answer.text)}")
    return chosen


def _call_python(arguments: Python, answer: Answer) -> Flow[str]:
    returned = read_tool_value((yield call_function(arguments, answer)))
    if returned is None:
        raise NothingToExtract("the function returned None")
    return to_text(returned)


def _run_javascript(arguments: JavaScript, answer: Answer) -> str | Flow[str]:
    found = run_here(arguments.code, answer)
    return _read_script_text(found) if isinstance(found, dict) else _await_script_text(found)


def _await_script_text(running: Flow[dict[str, Any]]) -> Flow[str]:
    return _read_script_text((yield from running))


def _read_script_text(found: dict[str, Any]) -> str:
    value, other = found.get("value"), found.get("not", "undefined")
    if value is not None:
        return to_text(value)
    if "value" in found or other == "undefined":
        raise NothingToExtract(f"the script came to {'null' if 'value' in found else other}")
    raise GraderError("invalid_value", f"the script came to {other}, which is no text")


json_step = ExtractionStep(
    "json", JSONPath, _take_json, short="path", summary="the value at a JSON path"
)
number_step = ExtractionStep(
    "number",
    NumberReading,
    _take_number,
    short="which",
    summary="the number, as a plain decimal, or as a fraction that has none",
)
choice_step = ExtractionStep(
    "choice",
    Choices,
    _take_choice,
    short="options",
    summary="the option that the answer chooses, by its letter or text",
)
python_step = ExtractionStep(
    "python",
    Python,
    _call_python,
    short="function",
    file="function",
    summary="what your own function returns for the answer; None is no answer",
)
javascript_step = ExtractionStep(
    "javascript",
    JavaScript,
    _run_javascript,
    short="code",
    file="code",
    literal="code",
    summary="what JavaScript makes of it; null and undefined are no answer",
)
