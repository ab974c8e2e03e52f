"""The pictures a report shows beside its cases: of a few cases, small, taken from a run folder.

The lines of a run are passed over by their first bytes, so that finding two hundred cases among a million costs seconds.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import orjson
from msgspec.structs import replace

from harness.model import Image, Message, Record
from harness.model.images import file_size, images_of
from harness.runs import records
from harness.runs.blobs import BlobError, Blobs
from harness.runs.folder import RECORDS
from harness.runs.records import CorruptLineError

Name = tuple[str, str]
"""An eval and a case of it."""


class CaseThumbnails(NamedTuple):
    """What a case shows, and what was asked about it."""

    images: tuple[Image, ...]
    question: str


A_CASE = 4
"""Pictures shown of one case."""
LARGEST = 24_000
"""Bytes of a file that is shown as it is; of a larger one a smaller copy is made."""
SIDE = 320
TOTAL = 6_000_000
"""Characters of base64 in one report; what comes after is only described."""
MOST_PIXELS = 50_000_000

_NAMES = re.compile(rb'"eval":("(?:[^"\\]|\\.)*"),"case":("(?:[^"\\]|\\.)*"),')
_BEGINNING = 4_096
_MARK = b'"type":"image"'


class Thumbnails:
    """Collects the pictures of `wanted` cases over several run folders. `lost` says what is missing."""

    def __init__(self, wanted: Collection[Name]) -> None:
        self.found: dict[Name, CaseThumbnails] = {}
        self.lost: list[str] = []
        self._missing = set(wanted)
        self._left = TOTAL

    def look_into(self, folder: Path) -> None:
        """Take what this run shows of the cases that no run before it showed."""
        blobs = Blobs(folder)
        for name, messages in _asked(folder / RECORDS, self._missing):
            images = tuple(self._small(image, blobs) for image in images_of(messages)[:A_CASE])
            self.found[name] = CaseThumbnails(images, messages[-1].text)
            self._missing.discard(name)
            if not self._missing:
                break
        self.lost += blobs.lost

    def _small(self, image: Image, blobs: Blobs) -> Image:
        """The image as a report can show it; without bytes where they are lost, or too many."""
        try:
            small = thumbnail(blobs.image(image))
        except BlobError as lost:
            blobs.lost[str(lost)] = None
            return replace(image, data="")
        self._left -= len(small.data)
        return small if self._left >= 0 else replace(image, data="")


def thumbnail(image: Image) -> Image:
    """The image, or a smaller copy; without bytes where it cannot be read."""
    if file_size(image) <= LARGEST:
        return image
    from PIL import Image as Pillow  # noqa: PLC0415 - only for large images

    file = BytesIO()
    try:
        with Pillow.open(BytesIO(b64decode(image.data))) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return replace(image, data="")
            opened.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG is decoded at a fraction of its size
            opened.thumbnail((SIDE, SIDE))
            opened.convert("RGBA").save(file, "WEBP", quality=80)
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
        return replace(image, data="")
    return replace(image, media_type="image/webp", data=b64encode(file.getvalue()).decode())


def _asked(path: Path, wanted: Collection[Name]) -> Iterator[tuple[Name, Sequence[Message]]]:
    """The messages of the records of some cases, where they hold images, record by record."""
    with path.open("rb") as lines:
        for raw in lines:
            name = _name(raw)
            if name in wanted and _MARK in raw and (record := _record(raw)) is not None and record.exchanges:
                yield name, record.exchanges[-1].request.messages


def _name(raw: bytes) -> Name:
    names = _NAMES.search(raw, 0, _BEGINNING)
    return (_text(names[1]), _text(names[2])) if names else ("", "")


def _text(literal: bytes) -> str:
    try:
        return str(orjson.loads(literal))
    except orjson.JSONDecodeError:  # a lone surrogate, which nothing shown is called
        return ""


def _record(raw: bytes) -> Record | None:
    """The record in a line; None for a line that does not hold, which has been told already."""
    try:
        line = records.decode(raw)
    except CorruptLineError:
        return None
    return line if isinstance(line, Record) else None
