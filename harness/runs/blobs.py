"""A run folder's images: each once, in a file of its own named by the hash of its bytes, however
many lines show it.

The file is in place before the line that names it is written, so that a kill between the two leaves
an image nobody names, never a line without its image. What is read is checked against its name: an
image that is missing or altered is reported, and never taken for another.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from harness.config.regular_files import open_regular_file
from harness.model import Exchange, Image, Message, Record
from harness.model.images import file_size, has_no_data
from harness.runs.folder import BLOBS
from harness.runs.records import ExchangeLine, Line

MIN_BLOB_LENGTH = 4096
"""Characters of base64 from which an image is a file of its own: a smaller
one stays in its line."""

CACHED_IMAGES = 32


class BlobError(Exception):
    """An image of a run folder is missing or altered; says which."""


class Blobs:
    """The images of one run folder. `lost` has a sentence for each that could not be given back."""

    def __init__(self, folder: Path) -> None:
        self.lost: dict[str, None] = {}
        self._folder = folder / BLOBS
        self._unsynced: deque[Path] = deque()  # filled here, emptied by the thread that syncs
        self._read: OrderedDict[str, str] = OrderedDict()

    # Writing

    def store_images(self, line: Line) -> Line:
        """The line with its large images named by their hash, once they are on file. Raises
        OSError."""
        return _change_images(line, self._store_image)

    def sync(self) -> None:
        """Make every image written so far durable. Raises OSError."""
        while self._unsynced:
            file = os.open(self._unsynced.popleft(), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def _store_image(self, image: Image) -> Image:
        if image.sha256 is None or len(image.data) < MIN_BLOB_LENGTH:
            return image
        path = self._folder / image.sha256
        if not _has_size(path, file_size(image)):
            content = b64decode(image.data)
            if sha256(content).hexdigest() != image.sha256:
                return image  # whoever made it gave it a wrong name: then it stays where it is
            self._folder.mkdir(exist_ok=True)
            _write_blob(path, content)
            self._unsynced.append(path)
        return replace(image, data="")

    # Reading

    def restore_images(self, exchange: Exchange) -> Exchange | None:
        """The exchange with the bytes of its images; None where one is lost, which `lost` then
        tells."""
        try:
            return _change_in_exchange(exchange, self.restore_image)
        except BlobError as lost:
            self.lost[str(lost)] = None
            return None

    def restore_image(self, image: Image) -> Image:
        """The image with its bytes. Raises BlobError."""
        if not has_no_data(image) or image.sha256 is None:
            return image
        return replace(image, data=self._read_base64(image.sha256))

    def _read_base64(self, name: str) -> str:
        data = self._read.pop(name, None)
        if data is None:
            data = b64encode(self._read_bytes(name)).decode()
        self._read[name] = data
        if len(self._read) > CACHED_IMAGES:
            self._read.popitem(last=False)
        return data

    def _read_bytes(self, name: str) -> bytes:
        if not (len(name) == 64 and name.isalnum()):
            raise BlobError(
                f"{self._folder}/{name!r:.80}: a record refers to this image, but the file does"
                " not exist"
            )
        try:
            file = open_regular_file(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(file, "rb") as opened:
                content = opened.read()
        except OSError as refused:
            raise BlobError(
                f"{self._folder}/{name}: the image cannot be read: {refused.strerror}"
            ) from refused
        if sha256(content).hexdigest() != name:
            raise BlobError(
                f"{self._folder}/{name}: the image was altered: its bytes do not have the hash in"
                " its name"
            )
        return content


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.lstat().st_size == size
    except FileNotFoundError:
        return False


def _write_blob(path: Path, content: bytes) -> None:
    """Put the file in place whole; it is not durable yet. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(
            os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666), "wb"
        ) as file:
            file.write(content)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def _change_images(line: Line, change: Callable[[Image], Image]) -> Line:
    """The line with every image changed."""
    if isinstance(line, Record):
        changed = _change_in_exchanges(line.exchanges, change)
        grades = [
            (
                replace(grade, exchanges=_change_in_exchanges(grade.exchanges, change))
                if grade.exchanges
                else grade
            )
            for grade in line.grades
        ]
        return replace(line, exchanges=changed, grades=tuple(grades))
    if isinstance(line, ExchangeLine):
        return replace(line, exchange=_change_in_exchange(line.exchange, change))
    return line


def _change_in_exchanges(
    exchanges: Iterable[Exchange], change: Callable[[Image], Image]
) -> tuple[Exchange, ...]:
    return tuple([_change_in_exchange(each, change) for each in exchanges])


def _change_in_exchange(exchange: Exchange, change: Callable[[Image], Image]) -> Exchange:
    messages = exchange.request.messages
    if all(type(message.content) is str for message in messages):
        return exchange
    changed = tuple([_change_in_message(message, change) for message in messages])
    return replace(exchange, request=replace(exchange.request, messages=changed))


def _change_in_message(message: Message, change: Callable[[Image], Image]) -> Message:
    if isinstance(message.content, str):
        return message
    return replace(
        message,
        content=tuple(
            change(part) if isinstance(part, Image) else part for part in message.content
        ),
    )
