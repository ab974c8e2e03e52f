"""Undoes a body's Content-Encoding, and refuses one that grows past a cap: a megabyte of gzip can hold a gigabyte."""

from __future__ import annotations

import zlib

MAX_BODY = 64 * 2**20
"""Bytes of one decoded answer."""

_PIECE = 2**20


class BodyTooLargeError(ValueError):
    """The decoded body is longer than the cap."""


class BadEncodingError(ValueError):
    """The body is not in the encoding its header names, or in one nobody asked for."""


class Decompressor:
    """Decodes one body piece by piece; `encoding` is the Content-Encoding header, empty for none."""

    def __init__(self, encoding: str = "", cap: int = MAX_BODY) -> None:
        self._encoding = encoding.strip().lower()
        self._cap = cap
        self._size = 0
        self._decompressor = _open_decompressor(self._encoding)

    def feed(self, data: bytes) -> bytes:
        """The decoded bytes of `data`. Raises BodyTooLargeError, BadEncodingError."""
        if self._decompressor is None:
            self._size += len(data)
            if self._size > self._cap:
                raise self._too_large()
            return data
        pieces: list[bytes] = []
        try:
            while data or (pieces and len(pieces[-1]) == _PIECE):  # a full piece may have more behind it
                pieces.append(self._decompressor.decompress(data, _PIECE))
                self._size += len(pieces[-1])
                if self._size > self._cap:
                    raise self._too_large()
                data = self._decompressor.unconsumed_tail
        except zlib.error as lie:
            raise BadEncodingError(f"the body is not the {self._encoding} its header names: {lie}") from lie
        return b"".join(pieces)

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(f"the answer is longer than {self._cap} bytes")


def _open_decompressor(encoding: str) -> zlib._Decompress | None:
    if encoding in {"", "identity"}:
        return None
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
    raise BadEncodingError(f"the answer is in the encoding {encoding[:40]!r}, which was not asked for")
