"""Structured output: parses an answer that was asked for with a `response_format`, and checks it
against the schema.

What is not JSON is data like any other answer: the text stands on the exchange, the value is null
and the record is flagged. An answer inside a Markdown fence is text: whoever asked for JSON wants
to know that it did not come (the json graders look into fences).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.flows.base import TARGET, Flow
from harness.model import Exchange, ResponseFormat

INVALID_JSON, SCHEMA_MISMATCH = "invalid_json", "schema_mismatch"
SCHEMA_UNCHECKED = "schema_unchecked"
"""Checking the value against the schema took too long."""
MAX_DEPTH = 100
"""Levels of lists and objects; what nests deeper is nobody's answer, and could not be written down
again."""

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
    from harness.graders.values.json_value import NotJSONError, parse_json_answer  # noqa: PLC0415 - only a form needs it

    try:
        value = parse_json_answer(text, strict=True)
    except NotJSONError:
        return None, (INVALID_JSON,)
    if _is_deeper(value, MAX_DEPTH):
        return None, (INVALID_JSON,)
    return value, () if wanted.schema is None else (yield from _check_fit(value, wanted.schema))


def _is_deeper(value: Any, levels: int) -> bool:
    items = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return items is not None and (
        levels == 0 or any(_is_deeper(item, levels - 1) for item in items)
    )


def _check_fit(value: Any, schema: Mapping[str, Any]) -> Flow[tuple[str, ...]]:
    """The flags for how the value fits the schema."""
    from harness.flows.child_checks import CheckFailed, find_violation_anywhere  # noqa: PLC0415 - tens of milliseconds that only a schema needs

    try:
        violation = yield from find_violation_anywhere(schema, value)
    except CheckFailed:
        return (SCHEMA_UNCHECKED,)
    return () if violation is None else (SCHEMA_MISMATCH,)
