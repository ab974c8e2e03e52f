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
    if "\0" in str(run):
        raise UsageError(f"{str(run)!r} is no path: it has a NUL in it")
    name, _, named = str(run).partition(":")
    if name != LATEST or Path(run).exists():
        return Path(run)
    runs = (workspace or _current_workspace()) / "reports" / "runs"
    wanted = named or suite
    heads = list(_read_heads(runs))
    started = [
        (head.created, path) for path, head in heads if head and wanted in (None, head.suite)
    ]
    if not started:
        what = "no run" if wanted is None else f"no run of the suite {wanted!r}"
        raise UsageError(f"{run}: there is {what} in {runs}; name the run's folder instead")
    created, path = max(started)
    folder, moment = path.parent, created[:19].replace(":", "-")
    newer = [
        damaged
        for damaged in (path.parent for path, head in heads if head is None)
        # What `harness run` names begins with the time.
        if damaged.name[:1].isdigit()
        and damaged.name > moment
        and wanted in (None, damaged.parent.name)
    ]
    if newer:
        raise UsageError(
            f"{run}: the newest run, {max(newer)}, is damaged: its {MANIFEST} cannot be read; name"
            " a run's folder instead"
        )
    here = Path.cwd()
    return Path(os.path.relpath(folder, here)) if folder.is_relative_to(here) else folder


def _current_workspace() -> Path:
    from harness.suite.files import workspace_of  # noqa: PLC0415 — only `latest` needs it

    return workspace_of(Path.cwd() / "suite.yaml")


def _read_heads(runs: Path) -> Iterator[tuple[Path, _RunHead | None]]:
    """The manifests of `<runs>/<run>` and `<runs>/<suite>/<run>`; None for one that is damaged."""
    for path in (*runs.glob(f"*/{MANIFEST}"), *runs.glob(f"*/*/{MANIFEST}")):
        try:
            yield path, msgspec.json.decode(path.read_bytes(), type=_RunHead)
        except (OSError, msgspec.DecodeError):
            yield path, None
