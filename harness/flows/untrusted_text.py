"""Delimits untrusted text with an unguessable marker, against prompt injection.

A model that is shown such a text must not take it for instructions. The marker is a hash of all
that is delimited, hashed on until it occurs nowhere in it. So it is the same whenever the texts
are, and no text can close its own delimiters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from harness.model import Image, Message


def delimit_texts(parts: Mapping[str, str]) -> str:
    """The parts one after another, each between tags that carry its name and a marker that none of
    the parts holds."""
    mark = unguessable_marker(tuple(parts.values()))
    return "\n\n".join(f"<{name}-{mark}>\n{text}\n</{name}-{mark}>" for name, text in parts.items())


def unguessable_marker(texts: Sequence[str]) -> str:
    """A marker that is in none of the texts, the same for the same texts."""
    digest = blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded))  # lengths keep neighbours apart
        digest.update(encoded)
    while any(digest.hexdigest() in text for text in texts):
        digest.update(b"+")
    return digest.hexdigest()


def write_transcript(messages: Sequence[Message]) -> str:
    """One message as it is; several as a transcript, each turn under its role."""
    if len(messages) == 1:
        return write_message(messages[0])
    return "\n\n".join(f"[{message.role}]\n{write_message(message)}" for message in messages)


def write_message(message: Message) -> str:
    """A turn as text, its images named and its tool calls written out."""
    if isinstance(message.content, str):
        text = message.content
    else:
        text = "".join(
            "[an image]" if isinstance(part, Image) else part.text for part in message.content
        )
    return "\n".join(
        filter(None, (text, *(f"{call.name}({call.arguments})" for call in message.tool_calls)))
    )
