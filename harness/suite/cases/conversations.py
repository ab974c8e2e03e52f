"""Conversations that a case holds: a list of turns, as chat data sets write them, as messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harness.config.diagnostics import quote_value
from harness.model import Message, Role

CHAT_COLUMNS: Final = ("input", "messages", "conversations", "conversation")
"""What the column of a conversation is called in chat data sets."""
_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "human": "user",
    "gpt": "assistant",
}
"""The roles of OpenAI's form ({role, content}) and of ShareGPT's ({from, value})."""


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
    return tuple(_read_turn(turn, f"turn {number}") for number, turn in enumerate(value, start=1))


def _read_turn(turn: Any, name: str) -> Message:
    if not isinstance(turn, Mapping):
        raise ValueError(  # noqa: TRY004 - as for its parts
            f"{name} should be {{role: …, content: …}}, not {quote_value(turn)}"
        )
    role = turn.get("role", turn.get("from"))
    known = _ROLES.get(role) if isinstance(role, str) else None
    if known is None:
        raise ValueError(
            f"{name} has the role {quote_value(role)}; it should be system, developer, user or"
            " assistant"
        )
    if turn.get("tool_calls") or turn.get("function_call"):
        raise ValueError(f"{name} contains tool calls, which a case's conversation cannot have")
    return Message(known, _read_content(turn.get("content", turn.get("value")), name))


def _read_content(content: Any, name: str) -> str:
    """The text of a turn: as it is, or in parts of type text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content:
        texts = [
            part.get("text")
            for part in content
            if isinstance(part, Mapping) and part.get("type") in ("text", "input_text")
        ]
        if len(texts) == len(content) and all(isinstance(text, str) for text in texts):
            return "".join(map(str, texts))
    raise ValueError(f"{name} should have text as its content, not {quote_value(content)}")
