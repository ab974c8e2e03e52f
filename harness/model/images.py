"""Images in messages: finds them, describes them, and leaves their bytes out where the hash is
enough.

An image's bytes are many and its hash is short: a trial's key and a line of the run folder hold the
hash.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from harness.model import Image, Message, Text

MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
"""What may be sent, and shown in a report; all of them are pixels, none is a program."""


def images_of(messages: Iterable[Message]) -> list[Image]:
    """The images in some messages, in order."""
    several = [message.content for message in messages if type(message.content) is not str]
    return [part for content in several for part in content if isinstance(part, Image)]


def without_image_data(message: Message) -> Message:
    """The message with each image known by its hash alone, where it has one."""
    if isinstance(message.content, str):
        return message
    parts = [
        replace(part, data="") if isinstance(part, Image) and part.sha256 else part
        for part in message.content
    ]
    return replace(message, content=tuple(parts))


def has_no_data(image: Image) -> bool:
    """Whether the image's bytes are elsewhere, under its hash."""
    return not image.data and image.sha256 is not None


def file_size(image: Image) -> int:
    """Bytes of the image file; base64 holds three in four characters."""
    return len(image.data) * 3 // 4 - image.data.count("=", -2)


def describe_image(image: Image) -> str:
    """`[image png 64×64, 1.2 kB]`."""
    facts = image.media_type.removeprefix("image/")
    facts += f" {image.width}×{image.height}" if image.width and image.height else ""
    return (
        f"[image {facts}, {_format_bytes(file_size(image))}]"
        if image.data
        else f"[image {facts}, its bytes are missing]"
    )


def readable_text(message: Message) -> str:
    """The message's text with each image described where it stands, on a line of its own."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(
        part.text if isinstance(part, Text) else describe_image(part) for part in message.content
    )


def _format_bytes(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
