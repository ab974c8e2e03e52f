"""Small image files, made on the spot."""

from __future__ import annotations

from io import BytesIO

from PIL import Image


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30), colour: str = "red") -> bytes:
    """An image file of one colour."""
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


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
