"""Small image files, made on the spot."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from io import BytesIO
from random import Random

from PIL import Image

from harness.model import Image as Part


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30), colour: str = "red") -> bytes:
    """An image file of one colour."""
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def noise(size: tuple[int, int] = (60, 60), seed: int = 1) -> bytes:
    """A PNG that cannot be made small: about three bytes a pixel."""
    file = BytesIO()
    Image.frombytes("RGB", size, Random(seed).randbytes(size[0] * size[1] * 3)).save(file, "PNG")
    return file.getvalue()


def as_image(content: bytes, media_type: str = "image/png") -> Part:
    """The file as a part of a message."""
    with Image.open(BytesIO(content)) as opened:
        return Part(
            media_type, b64encode(content).decode(), *opened.size, sha256(content).hexdigest()
        )


def animated(kind: str = "GIF") -> bytes:
    """Two frames that differ."""
    file = BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def bomb() -> bytes:
    """A small PNG whose header speaks of 60,000 × 60,000 pixels."""
    plain = picture()
    header = plain.index(b"IHDR")
    size = (60_000).to_bytes(4, "big") * 2
    forged = b"IHDR" + size + plain[header + 12 : header + 17]
    from zlib import crc32  # the header's checksum has to be right, too

    return plain[:header] + forged + crc32(forged).to_bytes(4, "big") + plain[header + 21 :]
