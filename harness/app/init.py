"""`harness init`: writes a workspace with the starter suites and evals that
ship with the package, or one of them as a template."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.config.diagnostics import did_you_mean
from harness.errors import StoreError, UsageError

IGNORED = ("reports/runs/", ".env")
FOLDERS = ("suites", "evals")


class StarterSuite(NamedTuple):
    """A starter suite that can be written by itself, with the files it names."""

    name: str
    shows: str
    files: tuple[str, ...]

    @property
    def suite(self) -> str:
        """The suite's file, relative to the workspace."""
        return self.files[0]


TEMPLATES = (
    StarterSuite(
        "chat", "multi-turn conversations, with a grade for each answer", ("suites/chat.yaml",)
    ),
    StarterSuite(
        "classification",
        "texts to classify into one of several labels",
        ("suites/triage.yaml", "evals/triage"),
    ),
    StarterSuite(
        "extraction",
        "facts extracted from texts as JSON that fits a schema",
        ("suites/extraction.yaml", "evals/extraction"),
    ),
    StarterSuite("rag", "answers based only on retrieved passages", ("suites/rag.yaml",)),
    StarterSuite(
        "tools", "an assistant that calls Python functions", ("suites/tools.yaml", "evals/tools")
    ),
    StarterSuite(
        "own-code",
        "your own Python function instead of a model",
        ("suites/own-code.yaml", "suites/own_code.py"),
    ),
)
_BESIDE = ("suites/targets.yaml", "suites/suite.schema.json")
"""What every suite is written with, unless it exists already."""


def list_templates() -> Iterator[str]:
    """A line on each template."""
    width = max(len(each.name) for each in TEMPLATES)
    yield from (f"{each.name:{width}}  {each.shows}" for each in TEMPLATES)


def write_template(name: str, folder: Path) -> Iterator[Path]:
    """Write one template into the workspace `folder`; yields the paths written, the suite first.

    Raises UsageError rather than overwrite anything.
    """
    found = {each.name: each for each in TEMPLATES}
    if name not in found:
        raise UsageError(f"there is no template {name!r}; {did_you_mean(name, found)}")
    files = found[name].files
    _refuse_existing(folder, files)
    missing = [each for each in _BESIDE if not (folder / each).exists()]
    yield from _copy_starters(folder, (*files, *missing))


def write_workspace(folder: Path) -> Iterator[Path]:
    """Write a runnable workspace into `folder`; yields the paths written.

    Raises UsageError rather than overwrite anything.
    """
    _refuse_existing(folder, FOLDERS)
    yield from _copy_starters(folder, FOLDERS)


def _refuse_existing(folder: Path, files: tuple[str, ...]) -> None:
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder / taken[0]} already exists, and `harness init` overwrites nothing; name an"
            " empty folder"
        )


def _copy_starters(folder: Path, files: tuple[str, ...]) -> Iterator[Path]:
    try:
        for name in files:
            source, copy = _starter_folder() / name, folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, copy)
            yield copy
        (folder / "reports" / "baselines").mkdir(parents=True, exist_ok=True)
        yield from _extend_gitignore(folder / ".gitignore")
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _extend_gitignore(path: Path) -> Iterator[Path]:
    """Make git ignore recorded runs and API keys; existing lines stay as they are."""
    before = path.read_bytes() if path.exists() else b""
    missing = [line for line in IGNORED if line.encode() not in before.splitlines()]
    if missing:
        gap = b"\n" if before and not before.endswith(b"\n") else b""
        with path.open("ab") as file:
            file.write(gap + b"".join(f"{line}\n".encode() for line in missing))
        yield path


def _starter_folder() -> Path:
    """The folder with the starter files: next to this file if installed, else the root of the
    checkout."""
    installed = Path(__file__).with_name("starter")
    return installed if installed.is_dir() else Path(__file__).parents[2]
