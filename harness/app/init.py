"""`harness init`: writes a workspace with the starter suites and evals that
ship with the package."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.errors import StoreError, UsageError

IGNORED = ("reports/runs/", ".env")
FOLDERS = ("suites", "evals")


def write_workspace(folder: Path) -> Iterator[Path]:
    """Write a runnable workspace into `folder`; yields the paths written.

    Raises UsageError rather than overwrite anything.
    """
    taken = [name for name in FOLDERS if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder / taken[0]} already exists, and `harness init` overwrites nothing; name an"
            " empty folder"
        )
    try:
        for name in FOLDERS:
            shutil.copytree(
                _starter_folder() / name,
                folder / name,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
            yield folder / name
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
