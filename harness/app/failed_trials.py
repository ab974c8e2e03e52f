"""Selects the trials that failed in an earlier run: `harness run --failed-of`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from harness.app.prepare import PreparedRun
from harness.errors import UsageError
from harness.hashing import hash_json
from harness.plan import hash_identity
from harness.wording import pluralize


def find_failed(run: Path | None) -> Collection[int] | None:
    """The hashed identities of the trials that failed, broke or could not be graded, as last
    recorded; None without a run, which selects all.

    Raises UsageError where there are none.
    """
    if run is None:
        return None
    from harness.runs.reader import Run  # noqa: PLC0415 - 20 ms that only --failed-of needs

    failed: dict[str, int] = {}
    for record in Run(run).records():
        if record.passed is False or record.error is not None or record.ungraded:
            failed[record.key] = hash_identity(record)
        else:
            failed.pop(record.key, None)
    if not failed:
        raise UsageError(f"{run}: no trial of this run failed, so --failed-of selects nothing")
    return frozenset(failed.values())


def select_trials(
    ready: PreparedRun, only: Collection[int] | None, run: Path | None
) -> PreparedRun:
    """What is ready to run, with these trials of `run` alone. Raises UsageError where the suite
    plans none of them."""
    if only is None:
        return ready
    plan = replace(ready.plan, only=only)
    if not len(plan):
        raise UsageError(
            f"{run}: the suite no longer has any of the {pluralize(len(only), 'trial')} that failed"
            " in this run"
        )
    note = (
        f"only the {pluralize(len(plan), 'trial')} that failed in {run}: rates and gates describe"
        " those alone"
    )
    if run is not None and (pending := _count_pending(run)):
        note += (
            f". That run is unfinished: it owes {pluralize(pending, 'trial')}, which are not among"
            f" them; `harness resume {run}` runs those"
        )
    return replace(ready, plan=plan, notes=(*ready.notes, note))


def _count_pending(run: Path) -> int:
    """How many of its planned trials a run has no record of."""
    from harness.runs.reader import Run  # noqa: PLC0415 - as above

    opened = Run(run)
    return opened.manifest.planned - len({record.key for record in opened.records()})


def selection_fingerprint(only: Collection[int] | None) -> Mapping[str, Any]:
    """What of a selection is compared when the run is resumed; nothing where all is asked."""
    return {} if only is None else {"failed_of": hash_json(sorted(only))}
