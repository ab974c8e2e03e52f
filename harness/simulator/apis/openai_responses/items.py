"""The input items of a Responses request, merged into turns.

Consecutive calls, and the assistant's text before them, are one turn, as in every other API.
Reasoning is accepted only unaltered, and only with the item that followed it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from harness.simulator.apis.openai.checks import (
    check_enum,
    invalid_request,
    required_string,
    wrong_type,
)
from harness.simulator.model.images import decode_data_uri
from harness.simulator.model.tokenizer import tokenize
from harness.simulator.model.types import Call, Turn

ROLES = ("assistant", "system", "developer", "user")
KINDS = ("message", "function_call", "function_call_output", "reasoning")
SEAL = b"sealed:"
"""The decoded content of a reasoning item starts with this; any other is refused."""


def seal_reasoning(thought: str) -> str:
    """A stand-in for encrypted reasoning."""
    return base64.b64encode(SEAL + thought.encode("utf-8", "replace")).decode()


def parse_turns(given: Any, instructions: Any) -> tuple[Turn, ...]:
    """The turns of `input`, after the instructions; raises `ApiError`."""
    opening = (
        [Turn("system", instructions)] if isinstance(instructions, str) and instructions else []
    )
    if isinstance(given, str):
        return (*opening, Turn("user", given))
    if not isinstance(given, list) or not given:
        raise wrong_type("input", "one of a string or array of objects", given)
    kinds = [_item_kind(item, f"input[{index}]") for index, item in enumerate(given)]
    _check_reasoning(given, kinds)
    _check_tool_results(given, kinds)
    return (*opening, *_merge_items(given, kinds))


def _item_kind(item: Any, place: str) -> str:
    if not isinstance(item, dict):
        raise wrong_type(place, "an object", item)
    return check_enum(item.get("type", "message"), KINDS, f"{place}.type")


def _merge_items(items: list[Any], kinds: list[str]) -> Iterator[Turn]:
    current: Turn | None = None
    for index, (item, kind) in enumerate(zip(items, kinds, strict=True)):
        if kind == "reasoning":
            continue
        turn = _parse_item(item, kind, f"input[{index}]")
        if current is not None and kind == "function_call" and current.role == "assistant":
            current = current._replace(calls=(*current.calls, *turn.calls))
            continue
        if current is not None:
            yield current
        current = turn
    if current is not None:
        yield current


def _parse_item(item: dict[str, Any], kind: str, place: str) -> Turn:
    if kind == "function_call":
        name, arguments, call = (
            required_string(item, key, place) for key in ("name", "arguments", "call_id")
        )
        return Turn("assistant", "", calls=(Call(name, tuple(tokenize(arguments)), call),))
    if kind == "function_call_output":
        return _parse_content("tool", item, "output", place)._replace(
            call_id=required_string(item, "call_id", place)
        )
    return _parse_content(
        check_enum(item.get("role"), ROLES, f"{place}.role"), item, "content", place
    )


def _parse_content(role: str, item: dict[str, Any], key: str, place: str) -> Turn:
    """The turn with the content at `key` of an item: a text, or parts."""
    content = item.get(key)
    if isinstance(content, str):
        return Turn(role, content)
    if not isinstance(content, list):
        raise wrong_type(f"{place}.{key}", "one of a string or array of objects", content)
    return _parse_parts(role, content, f"{place}.{key}")


def _parse_parts(role: str, parts: list[Any], place: str) -> Turn:
    allowed = ("output_text", "refusal") if role == "assistant" else ("input_text", "input_image")
    texts: list[str] = []
    images: list[bytes] = []
    for index, part in enumerate(parts):
        where = f"{place}[{index}]"
        kind = check_enum(
            part.get("type") if isinstance(part, dict) else None, allowed, f"{where}.type"
        )
        if kind == "input_image":
            images.append(decode_data_uri(required_string(part, "image_url", where)))
        else:
            texts.append(required_string(part, "refusal" if kind == "refusal" else "text", where))
    return Turn(role, "\n".join(texts), tuple(images))


def _check_reasoning(items: list[Any], kinds: list[str]) -> None:
    for index, (item, kind) in enumerate(zip(items, kinds, strict=True)):
        if kind != "reasoning":
            continue
        identifier = required_string(item, "id", f"input[{index}]")
        _check_seal(item.get("encrypted_content"), identifier)
        following = kinds[index + 1] if index + 1 < len(kinds) else None
        is_answer = following == "message" and items[index + 1].get("role") == "assistant"
        if following not in ("function_call", "reasoning") and not is_answer:
            message = (
                f"Item '{identifier}' of type 'reasoning' was provided without its required"
                " following item."
            )
            raise invalid_request(message, "input", None)


def _check_seal(content: Any, identifier: str) -> None:
    if content is None:
        raise invalid_request(
            f"Item with id '{identifier}' not found. Items are not persisted when `store` is set to"
            " false. Try again with `store` set to true, or remove this item from your input.",
            "input",
            None,
        )
    try:
        genuine = base64.b64decode(content, validate=True).startswith(SEAL)
    except (binascii.Error, ValueError, TypeError):
        genuine = False
    if not genuine:
        message = f"The encrypted content for item {identifier} could not be verified."
        raise invalid_request(message, None, "invalid_encrypted_content")


def _check_tool_results(items: list[Any], kinds: list[str]) -> None:
    """Require an output after each call, and a call before each output."""
    waiting: list[str] = []
    for index, (item, kind) in enumerate(zip(items, kinds, strict=True)):
        if kind not in ("function_call", "function_call_output"):
            continue
        call = required_string(item, "call_id", f"input[{index}]")
        if kind == "function_call":
            waiting.append(call)
        elif call in waiting:
            waiting.remove(call)
        else:
            raise invalid_request(
                f"No tool call found for function call output with call_id {call}.", "input", None
            )
    if waiting:
        raise invalid_request(
            f"No tool output found for function call {waiting[0]}.", "input", None
        )
