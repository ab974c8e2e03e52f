"""The json grader: is the answer JSON, and, where something is expected, the same value?

Models like to wrap JSON in a Markdown fence: unless `strict`, the last fenced block is read where
the whole answer is not JSON. Values are compared as JSON has them: 1 equals 1.0, true is not 1, the
order of keys means nothing, that of lists does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from pydantic import Field

from harness.config.diagnostics import quote_text
from harness.config.units import Flag
from harness.flows.base import Flow
from harness.flows.child_checks import MAX_INLINE_TEXT, CheckFailed, call_in_child
from harness.graders.base import (
    Answer,
    Arguments,
    GraderError,
    GraderType,
    Grading,
    Verdict,
    to_text,
)
from harness.wording import pluralize

_FENCE = "```"


class NotJSONError(ValueError):
    """A text is not JSON; the message says where it stops being so."""


def parse_json_answer(text: str, *, strict: bool = False) -> Any:
    """The JSON value an answer holds. Raises NotJSONError."""
    try:
        return _load_json(text)
    except NotJSONError as invalid:
        block = None if strict else _last_fenced_block(text)
        if block is None:
            raise NotJSONError(f"{invalid} in {quote_text(text)}") from None
    return _load_json(block)


def find_difference(expected: Any, found: Any, path: str = "$") -> str | None:
    """The first place where two JSON values differ, as a sentence; None where they are equal."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return _key_difference(expected, found, path)
    if isinstance(expected, list) and isinstance(found, list):
        return _item_difference(expected, found, path)
    if isinstance(expected, bool) == isinstance(found, bool) and expected == found:
        return None
    return f"{path}: expected {_brief_json(expected)}, got {_brief_json(found)}"


def _key_difference(expected: dict[str, Any], found: dict[str, Any], path: str) -> str | None:
    for key in expected:
        if key not in found:
            return f"{path}.{key}: missing"
    for key in found:
        if key not in expected:
            return f"{path}.{quote_text(key, 40)}: not expected"
    pairs = (find_difference(expected[key], found[key], f"{path}.{key}") for key in expected)
    return next(filter(None, pairs), None)


def _item_difference(expected: list[Any], found: list[Any], path: str) -> str | None:
    if len(expected) != len(found):
        return f"{path}: expected {pluralize(len(expected), 'item')}, got {len(found):,}"
    pairs = enumerate(zip(expected, found, strict=True))
    return next(
        filter(
            None, (find_difference(one, other, f"{path}[{index}]") for index, (one, other) in pairs)
        ),
        None,
    )


def _load_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise NotJSONError("nested too deeply") from None
    except ValueError as invalid:
        raise NotJSONError(f"not JSON: {invalid}") from None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _last_fenced_block(text: str) -> str | None:
    """What the last Markdown fence holds, without the language's name."""
    before, _, _ = text.rpartition(_FENCE)
    _, fence, block = before.rpartition(_FENCE)
    if not fence:
        return None
    return block.partition("\n")[2] if "\n" in block else block


def _brief_json(value: Any) -> str:
    """`value` as JSON, so that a text and a number look different, and not longer than 80
    characters."""
    text = ""
    for piece in _iter_json(value):
        text += piece
        if len(text) > 80:
            return f"{text[:80]}…"
    return text


def _iter_json(value: Any) -> Iterator[str]:
    """The JSON text of `value` in pieces, of which only as many need be made as are read."""
    if isinstance(value, dict):
        before = "{"
        for key, item in value.items():
            yield f"{before}{_dump_json(key)}: "
            yield from _iter_json(item)
            before = ", "
        yield "}" if value else "{}"
    elif isinstance(value, list):
        before = "["
        for item in value:
            yield before
            yield from _iter_json(item)
            before = ", "
        yield "]" if value else "[]"
    else:
        yield _dump_json(value[:81] if isinstance(value, str) else value)


def _dump_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


class JSONArguments(Arguments):
    """Arguments of `json`."""

    expected: Any = Field(
        None,
        description=(
            "The value to equal; default: any JSON passes. Text that is a JSON object or list is"
            " parsed."
        ),
    )
    strict: Flag = Field(
        False, description="Whether the whole answer must be JSON, without a Markdown fence."
    )


def _grade_json(arguments: JSONArguments, answer: Answer) -> Grading:
    asked: dict[str, Any] = {"text": answer.text, "strict": arguments.strict}
    if "expected" in arguments.model_fields_set:
        asked["expected"] = _expected_value(arguments.expected)
    if len(answer.text) > MAX_INLINE_TEXT:
        return _grade_in_child(asked)
    return _misfit_verdict(find_json_misfit(**asked))


def _grade_in_child(asked: dict[str, Any]) -> Flow[Verdict]:
    try:
        return _misfit_verdict((yield from call_in_child(find_json_misfit, **asked)))
    except CheckFailed as failed:
        raise GraderError(failed.error.kind, f"the comparison failed: {failed}") from None


def _misfit_verdict(misfit: str | None) -> Verdict:
    return Verdict(misfit is None, misfit or "")


def find_json_misfit(text: str, strict: bool, **expected: Any) -> str | None:
    """Why an answer's text is no JSON, or not the value `expected`, where one is given; None where
    it is."""
    try:
        value = parse_json_answer(text, strict=strict)
        return find_difference(expected["expected"], value) if expected else None
    except NotJSONError as invalid:
        return str(invalid)
    except RecursionError:
        return "nested too deeply"


def _expected_value(value: Any) -> Any:
    """The expected value as JSON has it; a cell of a table can only hold an object or a list as
    text."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            return _load_json(value)
        except NotJSONError:
            return value
    return json.loads(to_text(value)) if not isinstance(value, str) else value


json_grader = GraderType(
    "json",
    JSONArguments,
    _grade_json,
    short="expected",
    summary="is JSON, and equal to this if given",
)
