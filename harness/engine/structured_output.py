"""Structured output: parses an answer that was asked for with a `response_format`, and checks it
against the schema.

What is not JSON is data like any other answer: the text stands on the exchange, the value is null
and the record is flagged. An answer inside a Markdown fence is text: whoever asked for JSON wants
to know that it did not come (the json graders look into fences). A long answer is checked in a
child process, and its value goes into the record as the JSON that it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from msgspec import Raw

from harness.flows.base import TARGET, Flow
from harness.model import Exchange, ResponseFormat

INVALID_JSON, SCHEMA_MISMATCH = "invalid_json", "schema_mismatch"
SCHEMA_UNCHECKED = "schema_unchecked"
"""Checking the value against the schema took too long."""
MAX_DEPTH = 100
"""Levels of lists and objects; what nests deeper is nobody's answer, and could not be written down
again."""

_SURROGATE = re.compile("[\ud800-\udfff]")

NO_STRUCTURED_OUTPUT: tuple[Any, tuple[str, ...]] = (None, ())


def parse_structured_output(exchanges: Sequence[Exchange]) -> Flow[tuple[Any, tuple[str, ...]]]:
    """The value of the last answer, None where it is no JSON, and the flags that say what is wrong
    with it.

    An answer that calls tools, or that is none, was not asked to have the form.
    """
    last = next((each for each in reversed(exchanges) if each.role == TARGET), None)
    if last is None or last.request.response_format is None or last.response.error is not None:
        return NO_STRUCTURED_OUTPUT
    message = last.response.message
    if message is None or message.tool_calls:
        return NO_STRUCTURED_OUTPUT
    return (yield from _parse_text(message.text, last.request.response_format))


def _parse_text(text: str, wanted: ResponseFormat) -> Flow[tuple[Any, tuple[str, ...]]]:
    from harness.config.json_validation import TooManySteps  # noqa: PLC0415 - tens of milliseconds that only a form needs
    from harness.flows.child_checks import CheckFailed, call_in_child, check_here  # noqa: PLC0415 - as above

    asked: dict[str, Any] = {"text": text, "schema": wanted.schema}
    try:
        flag, value = check_here(_flag_and_value, **asked)
    except TooManySteps:
        try:
            flag = yield from call_in_child(flag_text, **asked)
        except CheckFailed:
            return None, (SCHEMA_UNCHECKED,)
        value = None if flag == INVALID_JSON else _leave_unparsed(text)
    return value, (flag,) if flag else ()


def flag_text(text: str, schema: Mapping[str, Any] | None) -> str | None:
    """What is wrong with an answer that was asked to have a form; None where nothing is."""
    return _flag_and_value(text, schema, inf)[0]


def _flag_and_value(
    text: str, schema: Mapping[str, Any] | None, max_steps: float
) -> tuple[str | None, Any]:
    """As `flag_text`, with the value. Raises TooManySteps."""
    from harness.config.json_validation import find_violation  # noqa: PLC0415 - as above
    from harness.graders.values.json_blocks import NotJSONError, parse_json_answer  # noqa: PLC0415 - as above

    try:
        value = parse_json_answer(text, strict=True)
    except NotJSONError:
        return INVALID_JSON, None
    if _is_deeper(value, MAX_DEPTH):
        return INVALID_JSON, None
    misfit = None if schema is None else find_violation(schema, value, max_steps)
    return None if misfit is None else SCHEMA_MISMATCH, value


def _leave_unparsed(text: str) -> Raw:
    """JSON as it goes into the record, on one line: breaks stand only between its parts."""
    one_line = text.replace("\n", " ").replace("\r", " ")
    return Raw(_SURROGATE.sub(_escape_character, one_line).encode())


def _escape_character(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _is_deeper(value: Any, levels: int) -> bool:
    items = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return items is not None and (
        levels == 0 or any(_is_deeper(item, levels - 1) for item in items)
    )
