"""Image files as they come in requests."""

from __future__ import annotations

import base64
import binascii


def decode_data_uri(uri: str) -> bytes:
    """The file in a `data:` URI; empty where it holds none that can be read."""
    header, _, content = uri.partition(",")
    if not header.endswith(";base64"):
        return b""
    return decode_base64(content)


def decode_base64(content: str) -> bytes:
    """The file in base64; empty where it is none."""
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return b""
