"""What was asked first, and what happened from there to the last answer, as text for a person.

`→ get_weather({"city": "Oslo"})` is a call, `  = {"temperature": 7}` what it returned, `« …` what
the model said in between and `» …` what the user said next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.flows.base import TARGET
from harness.model import Exchange, Message, Record, Response, Text

LINE_LIMIT = 300
"""Characters of a line that are kept."""


def asked_text(record: Record) -> str | None:
    """The first request's prompt as it was rendered, None where nothing was asked.

    A lone message is its text; of several, each begins with its role. Images are named, not shown.
    """
    first = next((each for each in record.exchanges if each.role == TARGET), None)
    if first is None:
        return None
    request = first.request
    if request.prompt is not None:
        return request.prompt
    texts = [_message_text(message) for message in request.messages]
    if len(texts) == 1:
        return texts[0]
    roles = [message.role for message in request.messages]
    return "\n".join(f"{role}: {text}" for role, text in zip(roles, texts, strict=True))


def _message_text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    parts = [part.text if isinstance(part, Text) else "[image]" for part in message.content]
    return "\n".join(parts)


def conversation_steps(record: Record) -> str | None:
    """The steps of a record's conversation, None where there was but one exchange without calls."""
    exchanges = record.exchanges
    if not exchanges or (len(exchanges) == 1 and not _has_tool_calls(exchanges[0].response)):
        return None  # as in most records
    asked = [exchange for exchange in exchanges if exchange.role == TARGET]
    if not asked or (len(asked) == 1 and not _has_tool_calls(asked[0].response)):
        return None
    lines = [
        _truncate_line(line)
        for message in _messages_between(asked)
        for line in _format_message(message)
    ]
    return "\n".join(lines) or None


def _messages_between(asked: Sequence[Exchange]) -> Iterator[Message]:
    """The messages after the first request's, and the calls that were left open."""
    yield from asked[-1].request.messages[len(asked[0].request.messages) :]
    last = asked[-1].response
    if last.message is not None and _has_tool_calls(last):
        yield last.message


def _has_tool_calls(response: Response) -> bool:
    return response.message is not None and bool(response.message.tool_calls)


def _format_message(message: Message) -> Iterator[str]:
    if message.role == "user":
        yield f"» {message.text}"
    elif message.role == "tool":
        yield f"  = {message.text}"
    else:
        if message.text:
            yield f"« {message.text}"
        yield from (f"→ {call.name}({call.arguments})" for call in message.tool_calls)


def _truncate_line(line: str) -> str:
    return line if len(line) <= LINE_LIMIT else f"{line[: LINE_LIMIT - 1]}…"
