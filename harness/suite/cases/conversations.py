"""Conversations that a case holds: a list of turns, as chat data sets write them, as messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from harness.config.diagnostics import quote_value
from harness.model import Message, Role, ToolCall

CHAT_COLUMNS: Final = ("input", "messages", "conversations", "conversation")
"""What the column of a conversation is called in chat data sets."""
_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "human": "user",
    "gpt": "assistant",
}
"""The roles of OpenAI's form ({role, content}) and of ShareGPT's ({from, value})."""

_TEXT_PARTS: Final = ("text", "input_text")


def is_conversation(value: Any) -> bool:
    """Whether `value` looks like a list of turns."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, Mapping) and ("role" in turn or "from" in turn) for turn in value)
    )


def read_conversation(value: Any) -> tuple[Message, ...]:
    """The messages of a conversation. Raises ValueError."""
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(
            "a conversation is a list of turns, such as [{role: user, content: …}], not"
            f" {quote_value(value)}"
        )
    messages = tuple(
        [_read_turn(turn, f"turn {number}") for number, turn in enumerate(value, start=1)]
    )
    _check_answered(messages)
    return messages


def _read_turn(turn: Any, name: str) -> Message:
    if not isinstance(turn, Mapping):
        raise ValueError(  # noqa: TRY004 - as for its parts
            f"{name} should be {{role: …, content: …}}, not {quote_value(turn)}"
        )
    role = turn.get("role", turn.get("from"))
    known = _ROLES.get(role) if isinstance(role, str) else None
    if known is None:
        raise ValueError(
            f"{name} has the role {quote_value(role)}; it should be system, developer, user,"
            " assistant or tool"
        )
    if turn.get("function_call"):
        raise ValueError(f"{name} has a `function_call`; write it as `tool_calls`")
    calls = _read_calls(turn.get("tool_calls"), known, name)
    content = turn.get("content", turn.get("value"))
    text = "" if calls and content is None else _read_content(content, name)
    if known != "tool":
        return Message(known, text, tool_calls=calls)
    answered = turn.get("tool_call_id")
    if not isinstance(answered, str) or not answered:
        raise ValueError(f"{name} has the role tool, so it needs the `tool_call_id` it answers")
    return Message(known, text, tool_call_id=answered)


def _read_calls(calls: Any, role: Role, name: str) -> tuple[ToolCall, ...]:
    """The tool calls of a turn, in OpenAI's form."""
    if not calls:
        return ()
    if role != "assistant" or not isinstance(calls, list):
        raise ValueError(f"{name}: `tool_calls` should be a list in a turn of the assistant")
    return tuple(_read_call(call, name) for call in calls)


def _read_call(call: Any, name: str) -> ToolCall:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not all(
        isinstance(each, str) and each for each in (call.get("id"), function.get("name"))
    ):
        raise ValueError(
            f"{name}: a tool call should be {{id: …, type: function, function: {{name: …,"
            f" arguments: …}}}}, not {quote_value(call)}"
        )
    given = function.get("arguments", {})
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return ToolCall(call["id"], function["name"], arguments)


def _check_answered(messages: Iterable[Message]) -> None:
    """Raise ValueError where a tool's result and the calls before it do not fit."""
    open_calls: set[str | None] = set()
    for number, message in enumerate(messages, start=1):
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise ValueError(
                    f"turn {number} answers the call {quote_value(message.tool_call_id)}, which no"
                    " turn before it makes"
                )
            open_calls.discard(message.tool_call_id)
        elif open_calls:
            break
        else:
            open_calls = {call.id for call in message.tool_calls}
    if open_calls:
        raise ValueError(
            f"the call {quote_value(min(map(str, open_calls)))} has no result; after it, add a turn"
            " {role: tool, tool_call_id: …, content: …}"
        )


def _read_content(content: Any, name: str) -> str:
    """The text of a turn: as it is, or in parts of type text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content:
        parts = [part if isinstance(part, Mapping) else {} for part in content]
        other = [part.get("type") for part in parts if part.get("type") not in _TEXT_PARTS]
        if any(isinstance(each, str) and "image" in each for each in other):
            raise ValueError(
                f"{name} contains an image, which a case's conversation cannot have; put the image"
                " in a variable, and name it under the prompt's `images:`"
            )
        texts = [part.get("text") for part in parts]
        if not other and all(isinstance(text, str) for text in texts):
            return "".join(map(str, texts))
    raise ValueError(f"{name} should have text as its content, not {quote_value(content)}")
