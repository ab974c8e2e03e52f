"""What `harness init` writes: the starter suites and evals, as they ship."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.errors import StoreError, UsageError

IGNORED = "reports/runs/\n.env\n"
FOLDERS = ("suites", "evals")


def write_workspace(folder: Path) -> Iterator[Path]:
    """Write a runnable workspace into `folder`; yield what was written. Raises UsageError rather than overwrite anything."""
    taken = [name for name in FOLDERS if (folder / name).exists()]
    if taken:
        raise UsageError(f"{folder / taken[0]} exists already; `harness init` overwrites nothing: name an empty folder")
    try:
        for name in FOLDERS:
            shutil.copytree(_source() / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            yield folder / name
        (folder / "reports" / "baselines").mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text(IGNORED, "utf-8")
            yield ignore
    except OSError as refused:
        raise StoreError(f"{folder}: cannot be written: {refused.strerror or refused}") from refused


def _source() -> Path:
    """Where the starter files are: beside this file in an installed package, at the root of a checkout."""
    here = Path(__file__).parent
    return here if (here / FOLDERS[0]).is_dir() else here.parent.parent
