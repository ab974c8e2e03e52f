"""Runs suites from Python: `harness.run` and `harness.resume`, which also report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from harness.app.run import Display, FinishedSession, resume_requests, run_requests
from harness.suite import Overrides, sampling_overrides

if TYPE_CHECKING:
    from harness.app.report import RunOutcome


def run(
    suite: str | Path,
    *,
    limit: int | None = None,
    targets: str | Sequence[str] = (),
    set: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    replay: str | Path | None = None,
    replay_only: bool = False,
    env_file: Path | None = None,
    overrides: Overrides | None = None,
    display: Display | None = None,
) -> RunOutcome:
    """Run a suite, write its report, and return what came of it.

    The arguments are the options of `harness run`: `limit` keeps the first cases of each eval,
    `targets` only these targets, `set` replaces sampling parameters, as in
    `{"sampling.temperature": 0}`; `overrides` holds the other options. `out` is the run's folder,
    by default a new one under `<workspace>/reports/runs`.

    Raises HarnessError for what would end the command with a message. Failed gates and errors of
    trials raise nothing: they are in the outcome's `exit_code`.
    """
    options = overrides or Overrides()
    options = replace(
        options,
        limit=limit or options.limit,
        targets=((targets,) if isinstance(targets, str) else tuple(targets)) or options.targets,
        sampling={**options.sampling, **sampling_overrides(set or {})},
    )
    finished = run_requests(
        suite,
        out=out,
        overrides=options,
        env_file=env_file,
        replay=replay,
        replay_only=replay_only,
        overwrite=overwrite,
        display=display,
    )
    return _report_session(finished)


def resume(
    folder: str | Path,
    *,
    retry_errors: bool = False,
    budget: Decimal | None = None,
    env_file: Path | None = None,
    display: Display | None = None,
) -> RunOutcome:
    """Continue a run, then report on all of it. The arguments are the options of `harness resume`.

    Raises UsageError where the suite no longer plans the same trials, naming what differs.
    """
    return _report_session(
        resume_requests(
            folder, retry_errors=retry_errors, budget=budget, env_file=env_file, display=display
        )
    )


def _report_session(finished: FinishedSession) -> RunOutcome:
    """The report on what is recorded, and an exit code that also says what ended the run early."""
    from harness.app.report import report_runs  # noqa: PLC0415 — pandas, once all is measured

    outcome = report_runs([finished.folder], stopped=finished.codes)
    return replace(outcome, stopped=finished.stopped)
