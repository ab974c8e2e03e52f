"""Puts texts that nobody vouches for between markers they cannot hold, for a model that must not take them for instructions.

The markers carry a nonce: a hash of all that is fenced, hashed on until it occurs nowhere in it. So it is the same whenever the
texts are, and no text can close its own fence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from harness.model import Image, Message


def delimit_texts(parts: Mapping[str, str]) -> str:
    """The parts one after another, each between markers that carry its name and a nonce none of the parts holds."""
    mark = unguessable_marker(tuple(parts.values()))
    return "\n\n".join(f"<{name}-{mark}>\n{text}\n</{name}-{mark}>" for name, text in parts.items())


def unguessable_marker(texts: Sequence[str]) -> str:
    """A word that is in none of the texts."""
    digest = blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded))  # lengths keep neighbours apart
        digest.update(encoded)
    while any(digest.hexdigest() in text for text in texts):
        digest.update(b"+")
    return digest.hexdigest()


def write_transcript(messages: Sequence[Message]) -> str:
    """One message as it is; more than that as turns, each under who said it."""
    if len(messages) == 1:
        return write_message(messages[0])
    return "\n\n".join(f"[{message.role}]\n{write_message(message)}" for message in messages)


def write_message(message: Message) -> str:
    """A turn as text, its images named and its tool calls written out."""
    if isinstance(message.content, str):
        text = message.content
    else:
        text = "".join("[an image]" if isinstance(part, Image) else part.text for part in message.content)
    return "\n".join(filter(None, (text, *(f"{call.name}({call.arguments})" for call in message.tool_calls))))
