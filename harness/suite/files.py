"""Opens the files that a suite names, images among them; none may lie outside its workspace.

A reference is relative to the file that holds it. `..` may lead up, but never out of the workspace,
and neither may a symbolic link: the resolved path counts.

The type of an image is decided by its bytes, not by its name, and nothing is decoded for that: a
billion pixels fit into a small file. Only a hash is kept of each checked file, so that a million
pictures cost little memory; a file that has changed since it was checked ends the run.
"""

from __future__ import annotations

import binascii
import json
import re
import warnings
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from harness.config.diagnostics import Place, Problems, display_path, nearest_match, quote_value
from harness.config.regular_files import read_regular_file
from harness.config.yaml import Document, parse_yaml
from harness.errors import InfrastructureError, SuiteError
from harness.hashing import TextHashes
from harness.model import Image
from harness.model.images import MEDIA_TYPES

MAX_IMAGE_BYTES = 20 * 2**20
MAX_PIXELS = 50_000_000
CACHED_CHARACTERS = 64 * 2**20
"""Characters of base64 kept, so that a picture that many trials share is read once."""

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


def workspace_of(suite: Path) -> Path:
    """The nearest ancestor of the suite that holds `suites/` or `.git`, else the suite's folder."""
    folder = suite.resolve().parent
    for ancestor in (folder, *folder.parents):
        if (ancestor / "suites").is_dir() or (ancestor / ".git").exists():
            return ancestor
    return folder


class WorkspaceFiles:
    """Opens files of the workspace, each document once; problems are noted at the place that
    names the file.
    """

    def __init__(self, workspace: Path, problems: Problems) -> None:
        self.workspace = workspace.resolve()
        self._problems = problems
        self._documents: dict[Path, Document | None] = {}

    @cached_property
    def images(self) -> ImageFiles:
        """The images of the workspace."""
        return ImageFiles(self.workspace)

    def resolve(self, reference: str, base: Path, place: Place) -> Path | None:
        """The file or folder that `reference` names from folder `base`; None, with a problem,
        where it may not be opened.
        """
        try:
            path = (base / reference).resolve()
            exists = path.exists()
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as refused:  # a NUL, a name too long, a loop of links
            self._problems.add(place, f"{quote_value(reference)} is not a file name: {refused}")
            return None
        if Path(reference).is_absolute() or not path.is_relative_to(self.workspace):
            self._problems.add(
                place,
                f"{quote_value(reference)} is outside the workspace ({self.workspace}); put the"
                " file inside it and name it relative to this file",
            )
            return None
        if not exists:
            self._problems.add(
                place, f"there is no file {quote_value(reference)}{self._suggest_similar(path)}"
            )
            return None
        return path

    def find_file(self, reference: str, base: Path, place: Place) -> Path | None:
        """As `resolve`, for a regular file."""
        path = self.resolve(reference, base, place)
        if path is not None and not path.is_file():
            self._problems.add(
                place, f"{quote_value(reference)} is not a regular file; name a file in it"
            )
            return None
        return path

    def read_text(self, path: Path, place: Place) -> str | None:
        """The file as UTF-8 text without a byte-order mark; None, with a problem, where it
        cannot be read.
        """
        named = "" if place.path == display_path(path) else f"{display_path(path)} "
        try:
            return read_regular_file(path).decode("utf-8-sig")
        except UnicodeDecodeError as invalid:
            self._problems.add(
                place, f"{named}is not UTF-8 at byte {invalid.start}; save it as UTF-8"
            )
        except OSError as refused:
            self._problems.add(place, f"{named}cannot be read: {refused.strerror or refused}")
        return None

    def read_document(self, path: Path, place: Place) -> Document | None:
        """The YAML file at `path`, parsed once."""
        if path not in self._documents:
            text = self.read_text(path, place)
            self._documents[path] = (
                None if text is None else parse_yaml(text, display_path(path), self._problems)
            )
        return self._documents[path]

    def read_json(self, reference: str, base: Path, place: Place) -> Any:
        """The value in the JSON file; None, with a problem, where it cannot be read."""
        path = self.find_file(reference, base, place)
        text = None if path is None else self.read_text(path, place)
        if path is None or text is None:
            return None
        try:
            return json.loads(text)
        except json.JSONDecodeError as invalid:
            self._problems.add(
                Place(display_path(path), invalid.lineno, invalid.colno), f"not JSON: {invalid.msg}"
            )
        except (ValueError, RecursionError) as invalid:
            self._problems.add(Place(display_path(path)), f"not JSON: {invalid}")
        return None

    def check_json_schema(self, schema: Any, key: str, place: Place) -> None:
        """Note where the value of `key` is not a JSON Schema, or not one that answers can be
        checked against safely, and warn of keywords that check nothing: an API may know them.
        """
        from harness.config.schema_check import check_schema, find_misused_keywords  # noqa: PLC0415

        if not isinstance(schema, Mapping):
            self._problems.add(place, f"a JSON Schema must be an object, not {quote_value(schema)}")
            return
        try:
            check_schema(dict(schema))
            for misused in find_misused_keywords(dict(schema)):
                self._problems.add_warning(place, f"`{key}`: {misused}")
        except ValueError as wrong:
            self._problems.add(place, f"`{key}`: {wrong}")

    @staticmethod
    def _suggest_similar(path: Path) -> str:
        if not path.parent.is_dir():
            return f": the folder {display_path(path.parent)} does not exist"
        close = nearest_match(path.name, sorted(each.name for each in path.parent.iterdir())[:1000])
        return f"; did you mean `{close}`?" if close else ""


class ImageError(ValueError):
    """A reference names no image that can be sent. The message is a sentence with what to do."""


class ImageFiles:
    """Opens the images of one workspace, and caches the last ones."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._checked = TextHashes()
        self._kept: OrderedDict[str, Image] = OrderedDict()
        self._size = 0

    def check(self, reference: str, folder: Path) -> Image:
        """Validates and reads the image that a path (relative to `folder`) or data URI names.
        Raises ImageError.
        """
        if reference.startswith("data:"):
            return self._load_uri(reference)
        path = self._resolve_path(reference, folder)
        self._checked.add(_file_stamp(path))
        return self._load_file(path)

    def image(self, reference: str, folder: Path) -> Image:
        """Reads an image that was checked before. Raises InfrastructureError where its file has
        changed since.
        """
        if reference.startswith("data:"):
            return self._load_uri(reference)
        try:
            path = self._resolve_path(reference, folder)
            unchanged = _file_stamp(path) in self._checked
        except ImageError as gone:
            raise InfrastructureError(
                f"an image that was readable when the suite was checked no longer is: {gone}"
            ) from gone
        if not unchanged:
            raise InfrastructureError(
                f"{display_path(path)} was changed while it was in use; do not edit the images"
                " until the run has finished"
            )
        return self._load_file(path)

    def _resolve_path(self, reference: str, folder: Path) -> Path:
        if _ADDRESS.match(reference):
            raise ImageError(
                f"{quote_value(reference)} is a URL, and images are not downloaded: save the image"
                " next to the case and give its path"
            )
        problems = Problems()
        path = WorkspaceFiles(self._workspace, problems).find_file(
            reference, folder, Place("image")
        )
        if path is not None:
            return path
        try:
            problems.raise_any()
        except SuiteError as wrong:
            raise ImageError(wrong.problems[0].message) from None
        raise AssertionError("a file that cannot be opened has a problem")

    def _load_file(self, path: Path) -> Image:
        name = _file_stamp(path)
        found = self._cached_image(name)
        return found or self._cache_image(
            name, _inspect_image(_read_content(path), display_path(path))
        )

    def _load_uri(self, uri: str) -> Image:
        found = self._cached_image(uri)
        return found or self._cache_image(uri, _parse_data_uri(uri))

    def _cached_image(self, name: str) -> Image | None:
        image = self._kept.get(name)
        if image is not None:
            self._kept.move_to_end(name)
        return image

    def _cache_image(self, name: str, image: Image) -> Image:
        self._kept[name] = image
        self._size += len(name) + len(image.data)
        while self._size > CACHED_CHARACTERS and len(self._kept) > 1:
            oldest, gone = self._kept.popitem(last=False)
            self._size -= len(oldest) + len(gone.data)
        return image


def _file_stamp(path: Path) -> str:
    """A text that changes when the file does: its path, size and modification time. Raises
    ImageError.
    """
    try:
        status = path.stat()
    except OSError as refused:
        raise ImageError(
            f"{display_path(path)} cannot be read: {refused.strerror or refused}"
        ) from refused
    return f"{path}\0{status.st_size}\0{status.st_mtime_ns}"


def _read_content(path: Path) -> bytes:
    try:
        return read_regular_file(path, MAX_IMAGE_BYTES)
    except OSError as refused:
        raise ImageError(
            f"{display_path(path)} cannot be read: {refused.strerror or refused}"
        ) from refused


def _parse_data_uri(uri: str) -> Image:
    match = _DATA_URI.fullmatch(uri)
    if match is None:
        raise ImageError(
            f"{quote_value(uri)} is not a data URI of an image; write data:image/png;base64,… with"
            " its bytes in base64"
        )
    try:
        content = b64decode(match[2], validate=True)
    except (binascii.Error, ValueError) as invalid:
        raise ImageError(f"{quote_value(uri)} is not valid base64: {invalid}") from invalid
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageError(
            f"{quote_value(uri)} has {len(content) / 2**20:.1f} MiB; the maximum is"
            f" {MAX_IMAGE_BYTES // 2**20} MiB"
        )
    image = _inspect_image(content, quote_value(uri))
    if image.media_type != match[1].lower():
        raise ImageError(
            f"{quote_value(uri)} says {match[1]}, but its bytes are {image.media_type}; correct"
            " one of them"
        )
    return image


def _inspect_image(content: bytes, name: str) -> Image:
    """The image in `content`. Raises ImageError, with a message that begins with `name`."""
    kind = _image_kind(content)
    if kind is None:
        raise ImageError(
            f"{name} is not a png, jpeg, webp or gif image, whatever its suffix; convert it to one"
            " of them"
        )
    width, height = _image_size(content, kind, name)
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width:,} × {height:,} pixels; the maximum is {MAX_PIXELS:,}: make it"
            " smaller"
        )
    media_type = f"image/{kind.lower()}"
    if media_type not in MEDIA_TYPES:
        raise AssertionError(f"{media_type} is looked into, but cannot be sent")
    return Image(
        media_type, b64encode(content).decode(), width, height, sha256(content).hexdigest()
    )


def _image_kind(content: bytes) -> str | None:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return next(
        (kind for beginning, kind in _BEGINNINGS.items() if content.startswith(beginning)), None
    )


def _image_size(content: bytes, kind: str, name: str) -> tuple[int, int]:
    """Width and height in pixels, from the header alone. Raises ImageError for a damaged or
    animated image.
    """
    from PIL import Image as Pillow  # noqa: PLC0415 - only where there are images

    try:
        with warnings.catch_warnings(), Pillow.open(BytesIO(content), formats=[kind]) as picture:
            warnings.simplefilter("ignore")  # of very many pixels: they are counted, not decoded
            size, moves = picture.size, bool(getattr(picture, "is_animated", False))
            picture.verify()
    except Pillow.DecompressionBombError:
        raise ImageError(
            f"{name} has far too many pixels; the maximum is {MAX_PIXELS:,}: make it smaller"
        ) from None
    except Exception as broken:  # a file can break a reader in any way
        raise ImageError(
            f"{name} is not a complete {kind} file ({broken}); save it again"
        ) from broken
    if _is_truncated(content, kind):
        raise ImageError(f"{name} is not a complete {kind} file: its end is missing; save it again")
    if moves:
        raise ImageError(
            f"{name} is animated, and models see at most one frame: save that frame as an image of"
            " its own"
        )
    return size


def _is_truncated(content: bytes, kind: str) -> bool:
    """Whether the end of a file is missing, in formats where Pillow does not notice without
    decoding.
    """
    if kind == "JPEG":
        return content.rfind(_END_OF_IMAGE) < content.rfind(_START_OF_SCAN)
    return kind == "WEBP" and int.from_bytes(content[4:8], "little") + 8 > len(content)
