"""The composition root: what `harness run`, `resume`, `report` and the rest do, from a path to files and an exit code.

Reads like a table of contents: load, prepare, plan, send, record, compare, report. The Send stack is composed in one line of
`_session`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from harness import registry
from harness.engine.pace import Stop
from harness.engine.pool import Pool
from harness.engine.progress import Progress, Tally
from harness.engine.runner import INTERRUPTED, World, run_trials
from harness.engine.store import Damage, FinalKeys, Owed, Store, create_folder, read_lines, read_manifest, write_manifest
from harness.errors import ExitCode, HarnessError, UsageError, worst
from harness.model import Call, Error, Manifest, Record, Response, Session, Target
from harness.prepare import Prepared, environment, preflight, prepared
from harness.pricing import cost, tokens
from harness.suite import Overrides, load
from harness.transport.redact import Redactor

if TYPE_CHECKING:
    from harness.analysis.compare import Comparison
    from harness.analysis.frame import Frames

GRACE = 10.0
"""Seconds that requests in flight get to finish after a first interrupt."""

T = TypeVar("T")


class Display(Protocol):
    """What a run tells whoever watches it."""

    def say(self, text: str) -> None:
        """One line for a person."""

    def begin(self, progress: Progress, budget: float | None) -> None:
        """The run starts; `progress` is kept up to date from here on."""

    def tick(self) -> None:
        """A record was written."""


class Silent:
    """A Display that shows nothing: for notebooks and tests."""

    def say(self, text: str) -> None: ...

    def begin(self, progress: Progress, budget: float | None) -> None: ...

    def tick(self) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What came of a run: its folder, what was found, and the exit code that says so."""

    folder: Path
    comparison: Comparison
    exit_code: ExitCode
    stopped: tuple[str, ...] = ()
    """Why it ended early, one sentence each; empty where it did not."""


# ── Running ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def run(
    suite: str | Path,
    *,
    out: str | Path | None = None,
    overrides: Overrides | None = None,
    env_file: Path | None = None,
    replay: str | Path | None = None,
    replay_only: bool = False,
    display: Display | None = None,
) -> Outcome:
    """Run a suite and report on it.

    `out` is the run folder, by default a new one under `<workspace>/reports/runs`. `replay` is an earlier run whose answers are
    reused where they match; with `replay_only` nothing is sent at all. Raises HarnessError for what stops the command.
    """
    overrides = overrides or Overrides()
    loaded = load(Path(suite), overrides)
    folder = Path(out) if out is not None else _new_folder(loaded)
    with prepared(loaded, environment(env_file), live=not replay_only) as ready:
        create_folder(folder)
        manifest = _manifest(ready, folder, overrides)
        ended = _blocking(
            lambda: _session(ready, folder, manifest, Owed.nothing(), display or Silent(), _replayed(replay, replay_only))
        )
    return _outcome(folder, ended)


def resume(
    folder: str | Path,
    *,
    retry_errors: bool = False,
    budget: float | None = None,
    env_file: Path | None = None,
    display: Display | None = None,
) -> Outcome:
    """Go on with a run: send what it still owes, then report on all of it.

    `budget` (US dollars, over the whole run) replaces the suite's. Raises UsageError where the suite no longer plans the same
    trials, naming what differs.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    overrides = _overrides(manifest.options)
    loaded = load(_suite_path(folder, manifest), overrides if budget is None else replace(overrides, budget=budget))
    _check_same_plan(folder, manifest.plan, loaded.fingerprint())
    owed = Owed.read(folder, retry_errors=retry_errors)
    with prepared(loaded, environment(env_file), live=True) as ready:
        ended = _blocking(lambda: _session(ready, folder, manifest, owed, display or Silent(), _own_exchanges(owed)))
    return _outcome(folder, ended)


@dataclass(frozen=True)
class _Ended:
    """How a session's sending ended."""

    progress: Progress
    interrupted: bool


async def _session(
    ready: Prepared, folder: Path, manifest: Manifest, owed: Owed, display: Display, replayed: Replayed
) -> _Ended:
    """One stretch of a run: everything is checked, then sent and recorded until nothing is owed or something stops it."""
    for sentence in (*owed.damage.warnings(folder / RECORDS), *ready.notes):
        display.say(f"warning: {sentence}")
    await preflight(ready.targets)
    session = Session(secrets.token_hex(4), datetime.now(UTC).isoformat(), time.perf_counter_ns())
    clean = Redactor(ready.secrets)
    write_manifest(folder, replace(manifest, sessions=(*manifest.sessions, session)), clean)
    stop = Stop()
    progress = _progress(ready, owed)
    async with Store(folder, clean) as store, Pool() as pool, Http(ready.secrets) as http:
        budget = Budget(ready.suite.run.budget, owed.spent, _upper_bound, _charged)
        send = replaying(replayed, retrying(budgeting(budget, limiting(until(stop, http)))))
        world = World(
            session.id, send, encode, exchange_cost, pool.call, store.append, lambda _: display.tick(), stop, progress
        )
        display.begin(progress, ready.suite.run.budget)
        with _signals(stop, display):
            await run_trials(world, ready.targets, ready.plan.trials, owed.final.__contains__)
    return _Ended(progress, stop.asked)
