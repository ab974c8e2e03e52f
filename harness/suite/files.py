"""The files a suite names: inside its workspace, or not at all.

A reference is relative to the file that makes it. `..` may lead up, but never out of the workspace, and neither may a symbolic
link: what counts is where the path really ends.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.diagnostics import Place, Problems, display_path, nearest_match, quote_value
from harness.config.yaml import MAX_BYTES, Document, parse_yaml

if TYPE_CHECKING:
    from harness.suite.imagefiles import ImageFiles


def workspace_of(suite: Path) -> Path:
    """The nearest ancestor of the suite that holds `suites/` or `.git`, else the suite's folder."""
    folder = suite.resolve().parent
    for ancestor in (folder, *folder.parents):
        if (ancestor / "suites").is_dir() or (ancestor / ".git").exists():
            return ancestor
    return folder


class WorkspaceFiles:
    """Opens what a suite may open, once; what is wrong is noted at the place that named the file."""

    def __init__(self, workspace: Path, problems: Problems) -> None:
        self.workspace = workspace.resolve()
        self._problems = problems
        self._documents: dict[Path, Document | None] = {}

    @cached_property
    def images(self) -> ImageFiles:
        """The images of the workspace."""
        from harness.suite.imagefiles import ImageFiles  # noqa: PLC0415 - which opens its files with this

        return ImageFiles(self.workspace)

    def resolve(self, reference: str, base: Path, place: Place) -> Path | None:
        """The file or folder `reference` means in a file of folder `base`; None, with a problem, where it may not be opened."""
        try:
            path = (base / reference).resolve()
            exists = path.exists()
        except (OSError, ValueError, RuntimeError) as refused:  # a NUL, a name too long, a loop of links
            self._problems.add(place, f"{quote_value(reference)} names no file: {refused}")
            return None
        if Path(reference).is_absolute() or not path.is_relative_to(self.workspace):
            self._problems.add(
                place,
                f"{quote_value(reference)} leaves the workspace ({self.workspace}); put the file inside it and "
                "name it relative to this file",
            )
            return None
        if not exists:
            self._problems.add(place, f"there is no file {quote_value(reference)}{self._suggest_similar(path)}")
            return None
        return path

    def file(self, reference: str, base: Path, place: Place) -> Path | None:
        """`resolve`, for what must be a plain file."""
        path = self.resolve(reference, base, place)
        if path is not None and not path.is_file():
            self._problems.add(place, f"{quote_value(reference)} is no plain file; name a file in it")
            return None
        return path

    def text(self, path: Path, place: Place) -> str | None:
        """What the file holds, as UTF-8 text without a byte-order mark."""
        try:
            if path.stat().st_size > MAX_BYTES:
                self._problems.add(
                    place, f"{display_path(path)} is larger than {MAX_BYTES // 2**20} MiB; use a .jsonl file for cases"
                )
                return None
            return path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as invalid:
            self._problems.add(place, f"{display_path(path)} is not UTF-8 at byte {invalid.start}; save it as UTF-8")
        except OSError as refused:
            self._problems.add(place, f"{display_path(path)} cannot be read: {refused.strerror or refused}")
        return None

    def document(self, path: Path, place: Place) -> Document | None:
        """The YAML file at `path`, parsed once."""
        if path not in self._documents:
            text = self.text(path, place)
            self._documents[path] = None if text is None else parse_yaml(text, display_path(path), self._problems)
        return self._documents[path]

    def json(self, reference: str, base: Path, place: Place) -> Any:
        """What the JSON file holds; None, with a problem, where it cannot be read."""
        path = self.file(reference, base, place)
        text = None if path is None else self.text(path, place)
        if path is None or text is None:
            return None
        try:
            return json.loads(text)
        except json.JSONDecodeError as invalid:
            self._problems.add(Place(display_path(path), invalid.lineno, invalid.colno), f"not JSON: {invalid.msg}")
        except (ValueError, RecursionError) as invalid:
            self._problems.add(Place(display_path(path)), f"not JSON: {invalid}")
        return None

    @staticmethod
    def _suggest_similar(path: Path) -> str:
        if not path.parent.is_dir():
            return f": the folder {display_path(path.parent)} does not exist"
        close = nearest_match(path.name, sorted(each.name for each in path.parent.iterdir())[:1000])
        return f"; did you mean `{close}`?" if close else ""
