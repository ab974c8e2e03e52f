"""The composition root of a run: from a suite's path to a folder of records, a report and an exit
code.

Reads like a table of contents: load, prepare, probe, send, record, report. The Send stack is
composed in `transport.stack`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from harness.app.failed_trials import find_failed, select_trials, selection_fingerprint
from harness.app.find_run import find_run
from harness.app.manifest import new_folder, new_manifest, suite_path
from harness.app.plan_changes import PlannedSuite, check_same_plan, describe_new_requests
from harness.app.prepare import PreparedRun, load_checked_suite, merge_environment, prepare
from harness.app.replay_source import exchanges_of_run, replayable_exchange
from harness.engine.batch import MAX_OPEN_TRIALS, BatchAccounting, batch_layer
from harness.engine.event_loop import Interruptible, interrupt_handling, run_blocking
from harness.engine.loop_monitor import LoopMonitor, reduced_garbage_collection
from harness.engine.progress import Progress, Tally
from harness.engine.runner import TrialContext, run_trials
from harness.engine.workers.function_calls import build_tool_caller
from harness.engine.workers.pool import WorkerPool
from harness.errors import ExitCode, InfrastructureError, InterruptedRun, UsageError
from harness.model import Cost, Exchange, Manifest, Price, Response, Session, Target
from harness.pricing.changes import dearer_prices, describe_changes
from harness.pricing.cost import exchange_cost, most_spent
from harness.runs.blobs import Blobs
from harness.runs.folder import RECORDS, create_folder, read_manifest, write_manifest
from harness.runs.reader import Run
from harness.runs.redaction import MIN_SECRET_LENGTH, Redactor
from harness.runs.resume_state import ResumeState
from harness.runs.writer import RunWriter
from harness.suite import Overrides, describe_suite, fingerprint_suite, load_suite
from harness.transport.http.client import HttpClient
from harness.transport.http.errors import UNCONNECTED
from harness.transport.http.select import describe_proxies
from harness.transport.local.target import LOCAL_PROVIDERS, LocalTargets
from harness.transport.middleware.model_check import ModelCheck
from harness.transport.middleware.replay import Replay, StoredExchange
from harness.transport.middleware.stop import Stop
from harness.transport.stack import StackConfig, build_send_stack
from harness.wording import pluralize


class Display(Protocol):
    """What a run tells whoever watches it."""

    def say(self, text: str) -> None:
        """One line for a person."""

    def begin(self, progress: Progress, budget: float | None) -> None:
        """The run starts; `progress` is kept up to date from here on. `budget` is the whole run's,
        in US dollars."""

    def tick(self) -> None:
        """A record was written."""


class Silent:
    """A Display that shows nothing: for notebooks and tests."""

    def say(self, text: str) -> None: ...

    def begin(self, progress: Progress, budget: float | None) -> None: ...

    def tick(self) -> None: ...


# ── Running ───────────────────────────────────────────────────────────────────────────────────────


def run_requests(
    suite: str | Path,
    *,
    out: str | Path | None = None,
    overrides: Overrides | None = None,
    env_file: Path | None = None,
    skip_unreachable: bool = False,
    replay: str | Path | None = None,
    replay_only: bool = False,
    overwrite: bool = False,
    display: Display | None = None,
) -> FinishedSession:
    """Run a suite and record it, without a report.

    `out` is the run folder, by default a new one under `<workspace>/reports/runs`; with `overwrite`
    an existing run is removed. `replay` is an earlier run whose answers are reused where they
    match; with `replay_only` nothing is sent at all. Raises HarnessError for what stops the
    command.
    """
    overrides = overrides or Overrides()
    loaded = load_checked_suite(Path(suite), overrides)
    folder = Path(out) if out is not None else new_folder(loaded)
    replay, failed_of = (
        None if run is None else find_run(run, suite=loaded.name, workspace=loaded.workspace)
        for run in (replay, overrides.failed_of)
    )
    if overwrite:
        _check_overwrite(folder, (replay, failed_of), is_named=out is not None)
    only = find_failed(failed_of)
    with prepare(loaded, merge_environment(env_file), live=not replay_only) as everything:
        ready = select_trials(everything, only, failed_of)
        job = _RunSession(
            ready,
            folder,
            replace(
                new_manifest(ready, folder, _kept_overrides(overrides, failed_of, folder)),
                replay_only=replay_only,
            ),
            ResumeState(),
            display or Silent(),
            replay,
            replay_only,
            overwrite,
            skip_unreachable=skip_unreachable,
        )
        return _finish_session(job)


def _check_overwrite(folder: Path, used: Iterable[Path | None], *, is_named: bool) -> None:
    """Raise UsageError where there is nothing to overwrite, or where it is a run that is `used`."""
    if not is_named:
        raise UsageError("--overwrite needs --out: without it a run gets a new folder")
    if any(run is not None and run.resolve() == folder.resolve() for run in used):
        raise UsageError(
            f"--overwrite would remove {folder}, which this run reads from; name another --out"
        )


def _kept_overrides(overrides: Overrides, failed_of: Path | None, folder: Path) -> Overrides:
    """The overrides as the manifest keeps them: a path in them is relative to the run's folder."""
    if failed_of is None:
        return overrides
    path = os.path.relpath(failed_of.resolve(), folder.resolve())
    return replace(overrides, failed_of=path)


def resume_requests(
    folder: str | Path,
    *,
    retry_errors: bool = False,
    budget: Decimal | None = None,
    env_file: Path | None = None,
    skip_unreachable: bool = False,
    display: Display | None = None,
) -> FinishedSession:
    """Continue a run: send what it still owes.

    `budget` (US dollars, over the whole run) replaces the suite's. Raises UsageError where the
    suite no longer plans the same trials, naming what differs, and for a run that only replays.
    """
    folder = find_run(folder)
    manifest = read_manifest(folder)
    if manifest.replay_only:
        raise UsageError(
            f"{folder}: was made with --replay-only, which sends nothing, and resuming would send"
            " requests; start a new run instead"
        )
    overrides = Overrides.from_json(manifest.options)
    loaded = load_suite(
        suite_path(folder, manifest),
        overrides if budget is None else replace(overrides, budget=budget),
    )
    failed_of = None if overrides.failed_of is None else folder / overrides.failed_of
    only = find_failed(failed_of)
    axes = {**fingerprint_suite(loaded), **selection_fingerprint(only)}
    check_same_plan(
        folder,
        PlannedSuite(manifest.plan, manifest.resolved),
        PlannedSuite(axes, describe_suite(loaded)),
    )
    with prepare(loaded, merge_environment(env_file), live=True) as everything:
        ready = select_trials(everything, only, failed_of)
        then = {**manifest.helpers, **manifest.targets}
        prices = dearer_prices(then, ready.everyone)
        spent = _spent_function(ready, prices)
        owed = ResumeState.read(folder, retry_errors=retry_errors, spent=spent)
        job = _RunSession(
            ready,
            folder,
            manifest,
            owed,
            display or Silent(),
            prices=prices,
            skip_unreachable=skip_unreachable,
        )
        if prices:
            job.display.say(f"warning: {describe_changes(then, ready.everyone, prices)}")
        return _finish_session(job)


class FinishedSession(Struct, frozen=True):
    """A session that has sent and recorded all it will: what can be reported on, and what ended it
    before its time.

    `stopped` are the reasons, one sentence each, and `codes` the exit codes they stand for; both
    empty where nothing did.
    """

    folder: Path
    stopped: tuple[str, ...]
    codes: tuple[ExitCode, ...]


class _SessionEnd(Struct, frozen=True):
    """How a session's sending ended."""

    progress: Progress
    interrupted: bool
    left: bool
    """Whether requests in flight were abandoned."""


class _RunSession(Struct, dict=True):
    """One session of a run: everything is checked, then sent and recorded until nothing is owed or
    something stops it."""

    ready: PreparedRun
    folder: Path
    manifest: Manifest
    owed: ResumeState
    display: Display
    replay: Path | None = None
    replay_only: bool = False
    overwrite: bool = False
    prices: Mapping[str, Price] = field(default_factory=dict)
    """What the budget counts a target at, where that is not its own price."""
    skip_unreachable: bool = False
    unreachable: Mapping[str, str] = {}
    """Why targets are left out, by name."""

    async def run(self) -> _SessionEnd:
        """Send and record. Raises InfrastructureError before anything is sent, StoreError when
        records cannot be kept."""
        self._print_warnings()
        async with HttpClient(self.ready.secrets) as http:
            # Functions are imported before anything is sent or written.
            local = (
                None if self.replay_only else LocalTargets(self.ready.everyone, self.ready.secrets)
            )
            if not self.replay_only:
                await self._probe_targets(http)
            stop = Stop()
            with interrupt_handling(stop, self._say) as interruptible:
                if not self.manifest.sessions:
                    create_folder(self.folder, overwrite=self.overwrite)
                session = Session(
                    secrets.token_hex(4), datetime.now(UTC).isoformat(), time.perf_counter_ns()
                )
                return await self._run_session(http, local, session, stop, interruptible)

    def _say(self, sentence: str) -> None:
        """Tell the user, who may be told something that a server said, without secrets."""
        self.display.say(self._redactor.redact_text(sentence))

    def _print_warnings(self) -> None:
        too_short = [
            f"the value of {name} has fewer than {MIN_SECRET_LENGTH} characters, too few to tell it"
            " from ordinary text: it is not redacted"
            for name in self._redactor.unredactable
        ]
        if self.manifest.sessions and self.manifest.sessions[-1].ended is None:
            self._say(
                "the previous session of this run crashed or was killed; every answer it recorded"
                " is kept"
            )
        for sentence in (
            *self.owed.damage.warnings(self.folder / RECORDS),
            *self.ready.notes,
            *too_short,
        ):
            self._say(f"warning: {sentence}")
        for sentence in () if self.replay_only else describe_proxies(self._remote_targets):
            self._say(sentence)

    async def _probe_targets(self, http: HttpClient) -> None:
        """Try every target's address before anything is spent; those out of reach are left out
        where that is wanted, and the run can do without them."""
        failures = await asyncio.gather(
            *(http.probe_target(target) for target in self._remote_targets)
        )
        found = {
            target.name: error
            for target, error in zip(self._remote_targets, failures, strict=True)
            if error is not None
        }
        if not found:
            return
        tested = {target.name for target in self.ready.targets}
        if self.skip_unreachable and found.keys() < tested - self.ready.role_targets.keys():
            self.unreachable = {
                name: f"skipped, because it cannot be reached: {error.message}"
                for name, error in found.items()
            }
            return
        sentences = [
            f"target {name!r}: {error.message}; nothing was sent"
            + (". Is it running, and is the address right?" if error.kind in UNCONNECTED else "")
            for name, error in found.items()
        ]
        if not self.skip_unreachable and found.keys() < tested:
            sentences.append("--skip-unreachable runs the others")
        raise InfrastructureError(self._redactor.redact_text("\n".join(sentences)))

    @cached_property
    def _remote_targets(self) -> list[Target]:
        """The targets that are reached over a network."""
        return [target for target in self.ready.everyone if target.provider not in LOCAL_PROVIDERS]

    def _write_manifest(self, session: Session) -> None:
        manifest = replace(self.manifest, sessions=(*self.manifest.sessions, session))
        write_manifest(self.folder, manifest, self._redactor)

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor(self.ready.secrets)

    async def _run_session(
        self,
        http: HttpClient,
        local: LocalTargets | None,
        session: Session,
        stop: Stop,
        interruptible: Interruptible,
    ) -> _SessionEnd:
        progress = self._initial_progress()
        run, config = self.ready.suite.run, self._stack_config
        async with (
            RunWriter(self.folder, self._redactor, stop.request) as store,
            WorkerPool() as pool,
            LoopMonitor() as loop_monitor,
        ):
            self._check_unchanged(store)
            self._write_manifest(session)
            model_check = ModelCheck(self._say, refuse=run.model_mismatch == "error")
            replay = Replay(
                self._stored_exchanges(),
                mode="only" if self.replay_only else "reuse",
                own=self.manifest.id,
            )
            books = BatchAccounting(
                session.id,
                store.append,
                config.cost_bound,
                _response_cost,
                self.owed.batches,
                self.display.tick,
                model_check.check_response,
            )
            send = build_send_stack(
                http,
                config,
                stop,
                replay=replay if replay.is_needed or self.replay is not None else None,
                batches=batch_layer(books, stop, progress) if run.mode == "batch" else None,
                traffic=progress.traffic,
                model_check=model_check,
                local_targets=local,
            )
            context = TrialContext(
                session=session.id,
                send=send,
                call_tool=build_tool_caller(pool),
                append=store.append,
                observe=lambda _: self.display.tick(),
                stop=stop,
                progress=progress,
                known_tools=self.owed.tools,
                loop_monitor=loop_monitor,
                role_targets=self.ready.role_targets,
            )
            self.display.begin(progress, None if run.budget is None else float(run.budget))
            with reduced_garbage_collection():
                is_final = self.owed.final.__contains__ if len(self.owed.final) else None
                max_open = MAX_OPEN_TRIALS if run.mode == "batch" else None
                left = await interruptible.run(
                    run_trials(
                        context, self.ready.targets, self.ready.plan.trials, is_final, max_open
                    )
                )
        if self.replay is not None:
            self._report_replay(self.replay, replay)
        self._write_manifest(_finished_session(session, loop_monitor, progress))
        return _SessionEnd(progress, stop.requested, left)

    def _report_replay(self, recording: Path, replay: Replay) -> None:
        """Say how much was replayed and, here and in the report, why the rest could not be."""
        self._say(f"{replay.reused:,} reused, {replay.missed:,} new")
        if replay.missed:
            then, now = (
                PlannedSuite(each.plan, each.resolved)
                for each in (read_manifest(recording), self.manifest)
            )
            reason = describe_new_requests(replay.missed, then, now, recording)
            self._say(reason)
            self.manifest = replace(self.manifest, replay_gap=reason)

    def _check_unchanged(self, store: RunWriter) -> None:
        """Raise UsageError where another process went on with the run after it was read here, and
        before it was locked."""
        if store.size != self.owed.size:
            raise UsageError(
                f"{self.folder}: another process has written to this run; see `harness report"
                f" {self.folder}`"
            )

    @property
    def _stack_config(self) -> StackConfig:
        run = self.ready.suite.run
        held = {line.key: line.most or 0.0 for line in self.owed.batches.values()}
        budget = None if run.budget is None else float(run.budget)
        return StackConfig(run.seed, budget, self.owed.spent, held, self.prices)

    def _stored_exchanges(self) -> Iterator[StoredExchange]:
        """Exchanges to answer from: the unfinished trials' of this run, then those of the run to be
        replayed."""
        targets, blobs = {target.name: target for target in self.ready.everyone}, Blobs(self.folder)
        for line in self.owed.exchanges:
            if found := replayable_exchange(self.manifest.id, line, targets, blobs):
                yield found
        self._report_lost_images(blobs)
        if self.replay is not None:
            replayed = Run(self.replay)
            yield from exchanges_of_run(replayed, targets)
            self._report_lost_images(replayed.blobs)

    def _report_lost_images(self, blobs: Blobs) -> None:
        for sentence in blobs.lost:
            self._say(f"warning: {sentence}; requests that show it are sent again")

    def _initial_progress(self) -> Progress:
        """A tally for each target, with what earlier sessions finished."""
        return Progress(
            {
                target.name: Tally(
                    planned=self.ready.plan.counts[target.name],
                    already=self.owed.finished[target.name],
                    stopped=self.unreachable.get(target.name),
                )
                for target in self.ready.targets
            },
            {name: Tally() for name in self.ready.role_targets},
            self.owed.spent,
            self._redactor.redact_text,
        )


def _finished_session(session: Session, loop_monitor: LoopMonitor, progress: Progress) -> Session:
    """The session as it ended, with what the client's own clock did meanwhile."""
    return replace(
        session,
        ended=datetime.now(UTC).isoformat(),
        lag_p99=loop_monitor.percentile(0.99),
        lag_max=loop_monitor.percentile(1.0),
        in_flight=sum(each.most_in_flight for each in progress.traffic.values()),
        traffic={
            name: each.to_record() for name, each in progress.traffic.items() if each.attempts
        },
    )


def _spent_function(ready: PreparedRun, prices: Mapping[str, Price]) -> Callable[[Exchange], float]:
    """The US dollars an earlier session's exchange counts for; of a judge that is not asked any
    more, what is known."""
    targets = {
        target.name: replace(target, price=prices.get(target.name, target.price))
        for target in ready.everyone
    }

    def spent(exchange: Exchange) -> float:
        target = targets.get(exchange.target)
        return most_spent(exchange, target) if target else exchange.cost.usd or 0.0

    return spent


def _response_cost(target: Target, response: Response) -> Cost:
    return exchange_cost(response.attempts, target.price)


def _finish_session(job: _RunSession) -> FinishedSession:
    """Send and record all it will; what is left is to report on it. Raises InterruptedRun where the
    user left before requests in flight were done."""
    ended = run_blocking(job.run)
    if ended.left:
        raise InterruptedRun(
            f"interrupted with {pluralize(ended.progress.total.pending, 'trial')} left to run;"
            f" every answer received so far is kept. Continue with: harness resume {job.folder}"
        )
    stopped = list(ended.progress.stopped)
    codes = [
        ExitCode.BUDGET if tally.out_of_budget else ExitCode.INFRASTRUCTURE
        for tally in ended.progress.targets.values()
        if tally.stopped
    ]
    if ended.interrupted:
        stopped.append("interrupted")
        codes.append(ExitCode.INTERRUPTED)
    return FinishedSession(job.folder, tuple(stopped), tuple(codes))
