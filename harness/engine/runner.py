"""Runs trials: each is asked, graded and recorded; a bad one is data, never the end of the run.

`TrialContext` is all a trial needs, handed in by the composition root; nothing here knows YAML, HTTP or a file.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from harness.engine.drive import CallTool, Journal, drive
from harness.engine.progress import Progress, Tally
from harness.engine.scheduler import run_closed_loop
from harness.engine.structured_output import NO_STRUCTURED_OUTPUT, parse_structured_output
from harness.errors import StoreError
from harness.flows.base import FIRST, TARGET, AskFailed, RoleTarget
from harness.graders import Answer, Grader, build_answer, build_graders, build_turn_answers, score_grades
from harness.metrics.definitions import total_dollars
from harness.model import (
    Call,
    Cost,
    EncodedRequest,
    Error,
    Exchange,
    Grade,
    Record,
    Request,
    Response,
    Target,
    ToolResult,
    Trial,
)
from harness.model.error_kinds import INTERRUPTED, TARGET_KINDS
from harness.runs.records import Line
from harness.transport.middleware.stop import Stop
from harness.transport.send import Send


@dataclass(frozen=True)
class TrialContext:
    """What trials are run with.

    `encode` turns a Request into bytes, `send` is the Send stack, `cost` prices a Response, `vet` flags an exchange
    whose clock cannot be trusted, `call_tool` runs a function of the user's, `append` writes a line, `observe` is told of each
    record after it is written. `known_tools` are earlier sessions' tool results by trial key and position; `helpers` by name
    are whom graders and simulated users ask.
    """

    session: str
    send: Send
    encode: Callable[[Target, Request], EncodedRequest]
    cost: Callable[[Target, Response], Cost]
    flag_stalled: Callable[[Exchange], Exchange]
    call_tool: CallTool
    append: Callable[[Line], None]
    observe: Callable[[Record], None]
    stop: Stop
    progress: Progress
    known_tools: Mapping[str, Mapping[str, ToolResult]] = field(default_factory=dict)
    helpers: Mapping[str, RoleTarget] = field(default_factory=dict)


async def run_trials(
    world: TrialContext,
    targets: Sequence[Target],
    trials: Callable[[Target], Iterator[Trial]],
    skip: Callable[[str], bool],
    most_open: int | None = None,
) -> None:
    """Run every owed trial of every target; of each target, `most_open` at once where a limit is given.

    Raises StoreError when records can no longer be kept.
    """
    graders = GraderSets()

    async def perform(target: Target, trial: Trial) -> None:
        try:
            await run_trial(world, target, trial, graders)
        except StoreError as failed:
            world.stop.request(str(failed))
            raise

    async with asyncio.TaskGroup() as group:
        for target in targets:
            tally = world.progress.targets[target.name]
            group.create_task(run_closed_loop(target, trials(target), skip, perform, tally, world.stop, most_open))


async def run_trial(world: TrialContext, target: Target, trial: Trial, graders: GraderSets) -> None:
    """Ask, grade, record. A trial not sent to its end (the run stopped, the budget ended) leaves no record: it is owed."""
    journal = Journal(trial.key, trial.identity.repeat, world.session, world.append, world.known_tools.get(trial.key))
    asker = _Asker(world, target, trial)
    tally = world.progress.targets[target.name]
    try:
        response = await _ask_target(world, trial, journal, asker)
        conversation = len(journal.exchanges)
        grades = await _grade_answers(world, trial, graders, journal, asker)
    except AskFailed as failed:
        response, grades, conversation = failed.response, (), len(journal.exchanges)
    if response.error is not None:
        _note_reason_to_stop(tally, response.error)
    if _was_never_sent(response) or (
        world.helpers and any(_was_never_sent(each.response) for grade in grades for each in grade.exchanges)
    ):
        return
    record = _build_record(world, trial, tuple(journal.exchanges[:conversation]), grades, response.error)
    world.append(record)
    tally.count_record(record)
    world.observe(record)


def _was_never_sent(response: Response) -> bool:
    """Whether nothing was sent because the run was stopped or its budget spent."""
    error = response.error
    return error is not None and not response.attempts and (error.boundary == "budget" or error.kind == INTERRUPTED)


async def _ask_target(world: TrialContext, trial: Trial, journal: Journal, asker: _Asker) -> Response:
    """The target's answer, of a conversation the last. Raises AskFailed."""
    if trial.conversation is not None:
        from harness.flows.conversation import converse  # noqa: PLC0415 - tens of milliseconds that only tools and later turns need

        return await drive(converse(trial, trial.conversation), asker.ask, world.call_tool, journal)
    exchange = await asker.ask(TARGET, trial.request, FIRST)
    journal.add_exchange(exchange)
    if exchange.response.error is not None:
        raise AskFailed(exchange.response)
    return exchange.response


async def _grade_answers(
    world: TrialContext, trial: Trial, graders: GraderSets, journal: Journal, asker: _Asker
) -> tuple[Grade, ...]:
    grades = []
    for place, (grader, answer) in enumerate(_graders_with_answers(trial, graders, tuple(journal.exchanges))):
        if answer is None:
            grades.append(grader.unreached_grade())
            continue
        before = len(journal.exchanges)
        graded = grader.grade(answer)
        if isinstance(graded, Grade):
            grades.append(graded)
            continue
        grade = await drive(graded, asker.ask, world.call_tool, journal, prefix=f"g{place}.")
        own = journal.exchanges[before:]
        grades.append(replace(grade, exchanges=tuple(own)) if own else grade)
    return tuple(grades)


def _graders_with_answers(
    trial: Trial, graders: GraderSets, exchanges: tuple[Exchange, ...]
) -> list[tuple[Grader, Answer | None]]:
    """Each grader with the answer it judges: those of later turns with theirs, None where it did not come, then the last's."""
    found: list[tuple[Grader, Answer | None]] = []
    if trial.turn_graders:
        turns = zip(trial.turn_graders, build_turn_answers(trial, exchanges), strict=True)
        found = [(grader, answer) for specs, answer in turns for grader in graders.get_built(specs)]
    of_last = graders.get_built(trial.graders)
    if of_last:
        last = build_answer(trial, exchanges)
        found += [(grader, last) for grader in of_last]
    return found


def _build_record(
    world: TrialContext, trial: Trial, exchanges: tuple[Exchange, ...], grades: tuple[Grade, ...], error: Error | None
) -> Record:
    score, passed = score_grades(grades, trial.threshold)
    parsed, flags = NO_STRUCTURED_OUTPUT if trial.request.response_format is None else parse_structured_output(exchanges)
    if trial.conversation is not None:
        from harness.flows.conversation import conversation_flags as flags_of  # noqa: PLC0415 - see _ask_target

        flags += flags_of(exchanges)
    who = trial.identity
    return Record(
        key=trial.key,
        eval=who.eval,
        case=who.case,
        prompt=who.prompt,
        target=who.target,
        setting=who.setting,
        repeat=who.repeat,
        session=world.session,
        exchanges=exchanges,
        grades=grades,
        score=score,
        passed=passed,
        cost=total_dollars([each for each in exchanges if each.role == TARGET]),
        grading_cost=total_dollars([each for grade in grades for each in grade.exchanges]),
        error=error,
        tags=trial.tags,
        expected=trial.expected,
        flags=flags,
        parsed=parsed,
    )


def _note_reason_to_stop(tally: Tally, error: Error, whose: str = "") -> None:
    """After some errors, its judge's too, a target's remaining trials are not worth asking."""
    if tally.stopped:
        return
    if error.boundary == "budget":
        tally.stopped, tally.out_of_budget = f"{whose}{error.message}", True
    elif error.kind in TARGET_KINDS:
        tally.stopped = f"{whose}asking it again would only repeat: {error.message}"


class _Asker:
    """Asks on behalf of one trial: encodes, sends, prices."""

    def __init__(self, world: TrialContext, target: Target, trial: Trial) -> None:
        self._world, self._target, self._trial = world, target, trial

    def ask(self, role: str, request: Request, position: str, helper: str | None = None) -> Awaitable[Exchange]:
        """Ask the trial's target, or the helper of that name."""
        if helper is None:
            return self._send_request(self._target, role, request, position)
        return self._ask_role(helper, role, request, position)

    async def _ask_role(self, helper: str, role: str, request: Request, position: str) -> Exchange:
        whom, progress = self._world.helpers[helper], self._world.progress
        exchange = await self._send_request(whom.target, role, whom.fit_request(request), position)
        progress.helpers[helper].count_exchange(exchange)
        if exchange.response.error is not None:
            _note_reason_to_stop(progress.targets[self._target.name], exchange.response.error, f"the {role} {helper!r}: ")
        return exchange

    async def _send_request(self, target: Target, role: str, request: Request, position: str) -> Exchange:
        world, trial = self._world, self._trial
        try:
            wire = world.encode(target, request)
        except ValueError as inexpressible:
            response = Response(error=Error("target", "inexpressible", str(inexpressible)))
        else:
            alone = position == FIRST and trial.conversation is None
            call = Call(target, request, wire, trial.key, trial.identity.repeat, position, alone=alone)
            response = await world.send(call)
        return world.flag_stalled(Exchange(position, role, target.name, request, response, world.cost(target, response)))


class GraderSets:
    """Builds each set of graders once: an eval's stays, a case's own goes when `KEPT` others came after it.

    A set is known by the identity of its specifications, which it keeps alive as long as it knows them.
    """

    KEPT = 256

    def __init__(self) -> None:
        self._built: OrderedDict[int, tuple[object, tuple[Grader, ...]]] = OrderedDict()

    def get_built(self, specs: tuple[Any, ...]) -> tuple[Grader, ...]:
        """The graders that a trial's specifications mean, ready to grade."""
        name = id(specs)
        if name not in self._built:
            self._built[name] = (specs, build_graders(specs))
            if len(self._built) > self.KEPT:
                self._built.popitem(last=False)
        self._built.move_to_end(name)
        return self._built[name][1]
