"""Finds the JSON that an answer means: the whole of it, a fenced block, or the one object or list
in its prose.

A piece of something is never read: neither an object inside one that is not JSON, nor one of
several between which nothing decides.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, NoReturn

from harness.config.diagnostics import quote_text
from harness.graders.text.fenced_blocks import find_fenced_blocks

MAX_SEARCHED_TEXT = 50_000
"""Characters of a text in whose prose JSON is looked for."""
_MAX_READ = 20 * MAX_SEARCHED_TEXT  # characters read by attempts that fail
_ATTEMPT = 200  # characters that could be read while an attempt fails

_BYTE_ORDER_MARK = "\ufeff"
_BRACKET = re.compile(r"[{}\[\]]")


class NotJSONError(ValueError):
    """A text is not JSON; the message says where it stops being so."""


class JSONBlock(NamedTuple):
    """The value that was read, and the text it was read from; None where that is the whole
    answer."""

    value: Any
    text: str | None = None

    def describe(self, misfit: str) -> str:
        """`misfit`, with the block that has it where the answer holds more than the block."""
        return misfit if self.text is None else f"{misfit}, in {quote_text(self.text)}"


def read_json_answer(text: str, *, strict: bool = False) -> JSONBlock:
    """The JSON an answer holds; `strict` takes nothing but the whole answer. Raises
    NotJSONError."""
    try:
        return JSONBlock(load_json(text if strict else text.strip().removeprefix(_BYTE_ORDER_MARK)))
    except NotJSONError as invalid:
        if strict:
            raise NotJSONError(f"{invalid} in {quote_text(text)}") from None
        whole = str(invalid)
    blocks = find_fenced_blocks(text)[::-1]
    candidates = [block.text for block in sorted(blocks, key=lambda block: block.label != "json")]
    for candidate in candidates:
        try:
            return JSONBlock(load_json(candidate.strip(_BYTE_ORDER_MARK)), candidate)
        except NotJSONError:
            continue
    embedded = _find_embedded(text)
    if len(embedded) == 1:
        return embedded[0]
    if embedded:
        raise NotJSONError(
            f"which of {len(embedded)} JSON values is meant is not marked in {quote_text(text)}"
        )
    if candidates:
        raise NotJSONError(_describe_invalid(candidates[0]))
    raise NotJSONError(f"{whole} in {quote_text(text)}")


def parse_json_answer(text: str, *, strict: bool = False) -> Any:
    """The JSON value an answer holds. Raises NotJSONError."""
    return read_json_answer(text, strict=strict).value


def load_json(text: str) -> Any:
    """The value of a text that is JSON. Raises NotJSONError."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise NotJSONError("nested too deeply") from None
    except ValueError as invalid:
        raise NotJSONError(f"not JSON: {invalid}") from None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _describe_invalid(block: str) -> str:
    try:
        load_json(block)
    except NotJSONError as invalid:
        return f"{invalid} in {quote_text(block)}"
    return ""


def _find_embedded(text: str) -> list[JSONBlock]:
    """The objects, and lists that hold some, in a text; where there are none, its other lists.

    None at all where the brackets of the text do not match: what is read may then be a piece of
    something that is not JSON.
    """
    if len(text) > MAX_SEARCHED_TEXT:
        return []
    found: list[JSONBlock] = []
    depth = end = read = 0
    for bracket in _BRACKET.finditer(text):
        start = bracket.start()
        if start < end:
            continue
        if bracket[0] in "}]":
            depth -= 1
            if depth < 0:
                return []
            continue
        if depth == 0:
            try:
                value, end = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError) as wrong:
                read += getattr(wrong, "pos", len(text)) - start + _ATTEMPT
            else:
                found.append(JSONBlock(value, text[start:end]))
                continue
        depth += 1
        if read > _MAX_READ:
            return []
    if depth:
        return []
    return [each for each in found if _holds_object(each.value)] or found


def _holds_object(value: Any) -> bool:
    """Whether it is more than a footnote's [1] or the [ ] of a box to tick."""
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, dict) and item for item in items)
