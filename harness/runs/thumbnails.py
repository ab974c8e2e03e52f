"""Thumbnails of the images that a report shows with its cases, taken from a run folder.

The lines of a run are passed over by their first bytes, so that finding two hundred cases among a
million costs seconds.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import orjson
from msgspec.structs import replace

from harness.model import Image, Message, Record
from harness.model.images import file_size, images_of
from harness.runs import records
from harness.runs.blobs import BlobError, Blobs
from harness.runs.folder import RECORDS
from harness.runs.records import CorruptLineError

CaseName = tuple[str, str]
"""An eval and a case of it."""


IMAGES_PER_CASE = 4
"""Pictures shown of one case."""
MAX_ORIGINAL_SIZE = 24_000
"""Bytes of a file that is shown as it is; of a larger one a smaller copy is made."""
MAX_SIDE = 320
MAX_TOTAL = 6_000_000
"""Characters of base64 in one report; what comes after is only described."""
MAX_PIXELS = 50_000_000

_NAMES = re.compile(rb'"eval":("(?:[^"\\]|\\.)*"),"case":("(?:[^"\\]|\\.)*"),')
_BEGINNING = 4_096
_MARK = b'"type":"image"'


class Thumbnails:
    """Collects the pictures of `wanted` cases over several run folders. `lost` says what is
    missing."""

    def __init__(self, wanted: Collection[CaseName]) -> None:
        self.found: dict[CaseName, tuple[Image, ...]] = {}
        self.lost: list[str] = []
        self._missing = set(wanted)
        self._left = MAX_TOTAL

    def collect_from(self, folder: Path) -> None:
        """Take what this run shows of the cases that no run before it showed."""
        blobs = Blobs(folder)
        for name, messages in _find_messages(folder / RECORDS, self._missing):
            self.found[name] = tuple(
                self._shrink_image(image, blobs) for image in images_of(messages)[:IMAGES_PER_CASE]
            )
            self._missing.discard(name)
            if not self._missing:
                break
        self.lost += blobs.lost

    def _shrink_image(self, image: Image, blobs: Blobs) -> Image:
        """The image as a report can show it; without bytes where they are lost, or too many."""
        try:
            small = make_thumbnail(blobs.restore_image(image))
        except BlobError as lost:
            blobs.lost[str(lost)] = None
            return replace(image, data="")
        self._left -= len(small.data)
        return small if self._left >= 0 else replace(image, data="")


def make_thumbnail(image: Image) -> Image:
    """The image, or a smaller copy; without bytes where it cannot be read."""
    if file_size(image) <= MAX_ORIGINAL_SIZE:
        return image
    from PIL import Image as Pillow  # noqa: PLC0415 - only for large images

    file = BytesIO()
    try:
        with Pillow.open(BytesIO(b64decode(image.data))) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return replace(image, data="")
            opened.draft(
                "RGB", (2 * MAX_SIDE, 2 * MAX_SIDE)
            )  # a JPEG is decoded at a fraction of its size
            opened.thumbnail((MAX_SIDE, MAX_SIDE))
            opened.convert("RGBA").save(file, "WEBP", quality=80)
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
        return replace(image, data="")
    return replace(image, media_type="image/webp", data=b64encode(file.getvalue()).decode())


def _find_messages(
    path: Path, wanted: Collection[CaseName]
) -> Iterator[tuple[CaseName, Sequence[Message]]]:
    """The messages of the records of some cases, where they hold images, record by record."""
    with path.open("rb") as lines:
        for raw in lines:
            name = _read_name(raw)
            if (
                name in wanted
                and _MARK in raw
                and (record := _decode_record(raw)) is not None
                and record.exchanges
            ):
                yield name, record.exchanges[-1].request.messages


def _read_name(raw: bytes) -> CaseName:
    names = _NAMES.search(raw, 0, _BEGINNING)
    return (_decode_string(names[1]), _decode_string(names[2])) if names else ("", "")


def _decode_string(literal: bytes) -> str:
    try:
        return str(orjson.loads(literal))
    except orjson.JSONDecodeError:  # a lone surrogate, which nothing shown is called
        return ""


def _decode_record(raw: bytes) -> Record | None:
    """The record in a line; None for a line that does not hold, which has been told already."""
    try:
        line = records.decode_line(raw)
    except CorruptLineError:
        return None
    return line if isinstance(line, Record) else None
