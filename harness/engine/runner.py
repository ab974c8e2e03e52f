"""Runs trials: asks, grades and records each; a failed trial is data and never ends the run.

`TrialContext` is all a trial needs, handed in by the composition root; nothing here knows YAML,
HTTP or a file. Asking (`ask_trial`) makes a transcript, and grading (`harness.engine.grading`)
needs nothing more than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct, field

from harness.engine.drive import CallTool, Journal, drive
from harness.engine.grading import GraderSets, Transcript, build_record, grade_transcript
from harness.engine.loop_monitor import LoopMonitor
from harness.engine.progress import Progress, Tally
from harness.engine.scheduler import run_closed_loop
from harness.engine.structured_output import NO_STRUCTURED_OUTPUT, parse_structured_output
from harness.errors import StoreError
from harness.flows.base import FIRST, TARGET, AskFailed, Flow, RoleTarget
from harness.model import (
    Call,
    Error,
    Exchange,
    Record,
    Request,
    Response,
    Target,
    ToolResult,
    Trial,
)
from harness.model.error_kinds import INTERRUPTED
from harness.pricing.cost import exchange_cost
from harness.registry import load_plugin
from harness.runs.records import Line
from harness.transport.middleware.stop import Stop
from harness.transport.send import Send

T = TypeVar("T")


class TrialContext(Struct, frozen=True):
    """What trials are run with.

    `send` is the Send stack, `call_tool` runs a function of the user's, `append` writes a line,
    `observe` gets each record after it is written. `loop_monitor` knows when the process stood
    still. `known_tools` are earlier sessions' tool results by trial key and position;
    `role_targets` by name are the targets that judges and simulated users are.
    """

    session: str
    send: Send
    call_tool: CallTool
    append: Callable[[Line], None]
    observe: Callable[[Record], None]
    stop: Stop
    progress: Progress
    loop_monitor: LoopMonitor = field(default_factory=LoopMonitor)
    known_tools: Mapping[str, Mapping[str, ToolResult]] = field(default_factory=dict)
    role_targets: Mapping[str, RoleTarget] = field(default_factory=dict)


async def run_trials(
    context: TrialContext,
    targets: Sequence[Target],
    trials: Callable[[Target], Iterator[Trial]],
    is_final: Callable[[str], bool] | None = None,
    max_open: int | None = None,
) -> None:
    """Run every pending trial of every target; of each target, `max_open` at once where a limit is
    given.

    `is_final` says whether the trial of a key needs nothing more. Raises StoreError when records
    can no longer be kept.
    """
    graders = GraderSets()
    async with asyncio.TaskGroup() as group:
        for target in targets:
            perform = partial(run_trial, context, target, graders)
            tally = context.progress.targets[target.name]
            group.create_task(
                run_closed_loop(
                    target, trials(target), is_final, perform, tally, context.stop, max_open
                )
            )


async def run_trial(
    context: TrialContext, target: Target, graders: GraderSets, trial: Trial
) -> None:
    """Ask, grade, record. A trial not asked to its end (the run stopped, the budget ended) leaves
    no record: it is pending.

    Raises StoreError, which stops the run.
    """
    asker = TrialAsker(context, target, trial)
    tally = context.progress.targets[target.name]
    try:
        transcript = await ask_trial(trial, asker)
        grades = await grade_transcript(trial, transcript, graders, asker.drive)
        if transcript.error is not None and _was_never_sent(transcript.exchanges[-1].response):
            return
        if context.role_targets and any(
            _was_never_sent(each.response) for grade in grades for each in grade.exchanges
        ):
            return
        structured = NO_STRUCTURED_OUTPUT
        if trial.request.response_format is not None:
            flow = parse_structured_output(transcript.exchanges)
            structured, _ = await asker.drive(flow, "s")
        record = build_record(trial, context.session, transcript, grades, structured)
        context.append(record)
    except StoreError as failed:
        context.stop.request(str(failed))
        raise
    tally.count_record(record)
    context.observe(record)


async def ask_trial(trial: Trial, asker: TrialAsker) -> Transcript:
    """Ask the target all that the trial asks of it: its one question, or its whole conversation."""
    if trial.conversation is None:
        exchange = await asker.ask(TARGET, trial.request, FIRST)
        asker.unwritten = (exchange,)
        return Transcript((exchange,), exchange.response.error)
    from harness.flows.conversation import converse  # noqa: PLC0415 - tens of milliseconds that only tools and later turns need

    try:
        response, _ = await asker.drive(converse(trial, trial.conversation), "t")
    except AskFailed as failed:
        response = failed.response
    return Transcript(asker.exchanges, response.error)


class TrialAsker:
    """Asks on behalf of one trial: encodes, sends, prices; and drives its flows, journalling each
    step.

    A journal is kept from the first flow on. `unwritten` is the exchange that came before it: it is
    written when a grader asks, and else stands in the record alone.
    """

    def __init__(self, context: TrialContext, target: Target, trial: Trial) -> None:
        self.unwritten: tuple[Exchange, ...] = ()
        self._context, self._target, self._trial = context, target, trial
        self._journal: Journal | None = None

    async def ask(
        self, role: str, request: Request, position: str, target: str | None = None
    ) -> Exchange:
        """Ask who plays `role`: the trial's target, or the role target of the name `target`."""
        context, trial, asked = self._context, self._trial, self._target
        if target is not None:
            role_target = context.role_targets[target]
            asked, request = role_target.target, role_target.fit_request(request)
        try:
            encoded = load_plugin("providers", asked.provider).encode(asked, request)
        except ValueError as inexpressible:
            response = Response(error=Error("target", "inexpressible", str(inexpressible)))
        else:
            alone = position == FIRST and trial.conversation is None
            call = Call(
                asked, request, encoded, trial.key, trial.identity.repeat, position, alone=alone
            )
            response = await context.send(call)
        cost = exchange_cost(response.attempts, asked.price)
        exchange = Exchange(position, role, asked.name, request, response, cost)
        if context.loop_monitor.stalls:
            exchange = context.loop_monitor.flag_stalled(exchange)
        tally = context.progress.targets[self._target.name]
        if target is None:
            error, whose = tally.count_outcome(response), ""
        else:
            helper = context.progress.roles[target]
            helper.count_exchange(exchange)
            error, whose = helper.count_outcome(response), f"the {role} {target!r}: "
        if error is not None:
            _stop_target(tally, error, whose)
        return exchange

    async def drive(self, flow: Flow[T], prefix: str) -> tuple[T, tuple[Exchange, ...]]:
        """The flow's value, and the exchanges it took. Raises AskFailed where the flow does, and
        StoreError."""
        journal = self._journal
        if journal is None:
            context, trial = self._context, self._trial
            known_tools = context.known_tools.get(trial.key)
            journal = Journal(
                trial.key, trial.identity.repeat, context.session, context.append, known_tools
            )
            for exchange in self.unwritten:
                journal.add_exchange(exchange)
            self._journal = journal
        before = len(journal.exchanges)
        value = await drive(flow, self.ask, self._context.call_tool, journal, prefix)
        return value, tuple(journal.exchanges[before:])

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All exchanges so far of the flows that were driven."""
        return () if self._journal is None else tuple(self._journal.exchanges)


def _was_never_sent(response: Response) -> bool:
    """Whether nothing was sent because the run was stopped or its budget spent."""
    error = response.error
    return (
        error is not None
        and not response.attempts
        and (error.boundary == "budget" or error.kind == INTERRUPTED)
    )


def _stop_target(tally: Tally, error: Error, whose: str) -> None:
    """After this error, of the target or of who judges it, its remaining trials are not worth
    asking."""
    if tally.stopped:
        return
    if error.boundary == "budget":
        tally.stopped, tally.out_of_budget = f"{whose}{error.message}", True
    else:
        tally.stopped = (
            f"{whose}it is not called again, because it would fail the same way: {error.message}"
        )
