"""Finds the run that a command names: its folder, or `latest`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.runs.folder import MANIFEST

LATEST = "latest"


class _RunHead(msgspec.Struct):
    """What of a manifest tells which run is the latest."""

    suite: str
    created: str


def find_run(run: str | Path, *, suite: str | None = None, workspace: Path | None = None) -> Path:
    """The folder of `run`: a path, `latest` or `latest:SUITE`.

    `latest` is the run under the workspace's `reports/runs` that was started last: of `suite`,
    where one is given. Raises UsageError where there is none.
    """
    name, _, named = str(run).partition(":")
    if name != LATEST or Path(run).exists():
        return Path(run)
    runs = (workspace or _current_workspace()) / "reports" / "runs"
    wanted = named or suite
    started = [
        (head.created, path.stat().st_mtime_ns, path)
        for path, head in _read_heads(runs)
        if wanted in (None, head.suite)
    ]
    if not started:
        what = "no run" if wanted is None else f"no run of the suite {wanted!r}"
        raise UsageError(f"{run}: there is {what} in {runs}; name the run's folder instead")
    folder = max(started)[2].parent
    here = Path.cwd()
    return Path(os.path.relpath(folder, here)) if folder.is_relative_to(here) else folder


def _current_workspace() -> Path:
    from harness.suite.files import workspace_of  # noqa: PLC0415 — only `latest` needs it

    return workspace_of(Path.cwd() / "suite.yaml")


def _read_heads(runs: Path) -> Iterator[tuple[Path, _RunHead]]:
    """The manifests of `<runs>/<run>` and `<runs>/<suite>/<run>`; damaged ones are left out."""
    for path in (*runs.glob(f"*/{MANIFEST}"), *runs.glob(f"*/*/{MANIFEST}")):
        try:
            yield path, msgspec.json.decode(path.read_bytes(), type=_RunHead)
        except (OSError, msgspec.DecodeError):
            continue
