"""The batch layer: collects calls, submits them as batches, and returns the answers when the
service has processed them.

It is a layer of the Send stack, above `retry`, so a trial does not know about it: its call waits
here with others until there are enough of them, or no more arrive, and the first of them sees the
batch through. The service's id is journalled before the first poll, so that a killed run polls the
same batch again and submits nothing twice. Calls that are not their trial's only one (a judge's, a
conversation's) pass through immediately.

A service may report tokens only for the whole batch. They are then divided among its answers in
proportion to estimates: the sum is exact, and each share's source is `estimated`. A batch's answer
has no latency; its timestamps say only when it was fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from harness import registry
from harness.engine.progress import Progress
from harness.model import (
    BATCHED,
    Attempt,
    Batch,
    Call,
    Cost,
    Error,
    Marks,
    Request,
    Response,
    Target,
    Usage,
)
from harness.model.error_kinds import TARGET_KINDS
from harness.pricing.tokens import apportion_usage, estimate_answer, estimate_request
from harness.providers.base import (
    BatchApi,
    BatchEntry,
    BatchStatus,
    DecodedResponse,
    SupportsBatches,
)
from harness.runs.records import BatchLine
from harness.transport.middleware.budget import Budget
from harness.transport.middleware.stop import Stop
from harness.transport.send import Send

GATHER_SECONDS = 0.2
"""Seconds without another question after which a batch is submitted as it is."""
FIRST_POLL_WAIT, MAX_POLL_WAIT, POLL_BACKOFF = 0.1, 30.0, 2.0
"""Seconds before the first poll and at most between two, and how many times as long each wait is as
the one before."""
MAX_UNREADABLE_POLLS = 5
"""Polls in a row that brought nothing to be understood, after which the batch is given up."""
MAX_OPEN_TRIALS = 2_000
"""Trials of a target that are open at the same time: those of two batches, one gathered while the
other is under way."""
REQUEST_OVERHEAD = 64
"""Bytes that a submission adds to each request: its reference, and what separates it."""

_UNASKED = Request()
"""What an answer is decoded against whose trial needs none any more; only its size matters."""


class BatchAccounting(Struct, frozen=True):
    """The journal and the prices of a run's batches. Amounts are US dollars, None where unknown.

    `append` writes a line, `bound` is the most that a call can cost, `cost` what a Response did
    cost. `earlier` are the batches of earlier sessions, by the keys of the trials still to be
    answered. `on_poll` is called at each poll. `check_model` warns of an answer of another model
    than the one asked for, or makes it an error.
    """

    session: str
    append: Callable[[BatchLine], None]
    bound: Callable[[Call], float | None]
    cost: Callable[[Target, Response], Cost]
    earlier: Mapping[str, BatchLine] = field(default_factory=dict)
    on_poll: Callable[[], None] = lambda: None
    check_model: Callable[[Target, Response], Response] = lambda _, response: response


class Reservations(Protocol):
    """The part of `Budget` that batches use, by their keys."""

    def settle_batch(self, key: str, cost: float | None) -> None:
        """It is over and did cost so many US dollars, None where that is unknown."""

    def leave_batch(self, key: str) -> None:
        """This session will not see its end."""


def batch_layer(
    books: BatchAccounting, stop: Stop, progress: Progress
) -> Callable[[Send, Budget], Send]:
    """Makes the layer, once the stack has the budget."""
    return lambda inner, budget: Batches(inner, books, budget, stop, progress)


class _Group:
    """Calls that wait together; `line` says which batch of an earlier session they were in."""

    def __init__(self, batching: BatchApi, line: BatchLine | None) -> None:
        self.batching, self.line = batching, line
        self.calls: dict[str, Call] = {}
        self._answers: dict[str, asyncio.Future[Response]] = {}
        self._bytes = 0

    def has_room(self, call: Call) -> bool:
        """Whether one more fits into one submission."""
        return (
            len(self.calls) < self.batching.max_requests
            and self._bytes + _submission_size(call) <= self.batching.max_bytes
        )

    def add(self, call: Call) -> asyncio.Future[Response]:
        """Let `call` wait for its answer."""
        self._bytes += _submission_size(call)
        self.calls[call.key] = call
        self._answers[call.key] = asyncio.get_running_loop().create_future()
        return self._answers[call.key]

    def resolve(self, key: str, response: Response) -> None:
        """Give a call its answer."""
        if not self._answers[key].done():
            self._answers[key].set_result(response)

    def abandon(self) -> None:
        """Whoever saw to the batch could not go on, and says why: the others' answers will not
        come."""
        for answer in self._answers.values():
            answer.cancel()


class Batches:
    """The layer; `budget` is told what a batch did cost, `stop` ends every wait, `progress` learns
    what is queued."""

    def __init__(
        self,
        inner: Send,
        books: BatchAccounting,
        budget: Reservations,
        stop: Stop,
        progress: Progress,
    ) -> None:
        self._inner, self._books, self._budget, self._stop, self._progress = (
            inner,
            books,
            budget,
            stop,
            progress,
        )
        self._known = dict(books.earlier)
        self._open: dict[str, _Group] = {}
        self._early: dict[
            str, Response
        ] = {}  # answers of an earlier session's batch that nobody has asked for yet

    async def __call__(self, call: Call) -> Response:
        """The answer from a batch, where the target's provider has them and the trial can wait;
        else the inner one."""
        provider = registry.load_plugin("providers", call.target.provider)
        if not call.alone or not isinstance(provider, SupportsBatches):
            return await self._inner(call)
        if call.key in self._early:
            return self._early.pop(call.key)
        group, is_first = self._join_group(call, provider.batch_api)
        answer = group.add(call)
        if is_first:
            await self._run_group(group)
        return await answer

    def _join_group(self, call: Call, batching: BatchApi) -> tuple[_Group, bool]:
        """The group `call` waits in, and whether it is the first there."""
        line = self._known.get(call.key)
        name = line.key if line else call.target.name
        group = self._open.get(name)
        if group is not None and (line or group.has_room(call)):
            return group, False
        group = self._open[name] = _Group(batching, line)
        return group, True

    async def _run_group(self, group: _Group) -> None:
        try:
            await self._wait_for_group(group)
            if group.line is None:
                await self._submit_calls(group, list(group.calls.values()))
            else:
                await self._collect_answers(
                    group, group.line, next(iter(group.calls.values())), None
                )
        finally:
            group.abandon()  # nobody, once all are answered
            self._close_group(group)

    async def _wait_for_group(self, group: _Group) -> None:
        """Wait until nothing more comes; where it is to be submitted, nothing more comes in from
        then on."""
        before = 0
        while len(group.calls) > before and not self._stop.requested:
            before = len(group.calls)
            await self._stop.sleep_or_stop(GATHER_SECONDS)
        if group.line is None:
            self._close_group(group)

    def _close_group(self, group: _Group) -> None:
        for name in [name for name, each in self._open.items() if each is group]:
            del self._open[name]

    # ── Submitting ────────────────────────────────────────────────────────────────────────────────

    async def _submit_calls(self, group: _Group, calls: list[Call]) -> None:
        """Submit `calls` and collect their answers; in halves where they are too many for the
        service or for the budget."""
        first = calls[0]
        wire = group.batching.encode_submission([(call.key, call.wire) for call in calls])
        batch = Batch(tuple(call.request for call in calls))
        submission = replace(
            first, key=_batch_key(calls), position="b0", wire=wire, alone=False, batch=batch
        )
        response = await self._inner(submission)
        if response.error is not None and len(calls) > 1 and _is_divisible(response.error):
            half = len(calls) // 2
            async with asyncio.TaskGroup() as halves:
                halves.create_task(self._submit_calls(group, calls[:half]))
                halves.create_task(self._submit_calls(group, calls[half:]))
            return
        report = response.error or _read_report(group.batching, response)
        if isinstance(report, Error) or (report.id is None and report.entries is None):
            self._budget.settle_batch(submission.key, None)
            error = (
                report
                if isinstance(report, Error)
                else Error(
                    "provider",
                    "unreadable",
                    "the provider accepted a batch without returning an id",
                )
            )
            for call in calls:
                group.resolve(call.key, Response(error=error, attempts=response.attempts[-1:]))
            return
        await self._collect_answers(
            group,
            self._write_batch_line(submission, calls, report.id or ""),
            first,
            (report, response),
        )

    def _write_batch_line(self, submission: Call, calls: list[Call], batch: str) -> BatchLine:
        """The batch, in the journal: from here on it is never submitted again."""
        line = BatchLine(
            key=submission.key,
            session=self._books.session,
            target=submission.target.name,
            id=batch,
            trials=tuple(call.key for call in calls),
            inputs=tuple(estimate_request(call.request) for call in calls),
            most=self._books.bound(submission),
        )
        self._books.append(line)
        return line

    # ── Collecting ────────────────────────────────────────────────────────────────────────────────

    async def _collect_answers(
        self, group: _Group, line: BatchLine, like: Call, told: tuple[BatchStatus, Response] | None
    ) -> None:
        """Ask after a batch until it is done, and give each call of the group that is in it its
        answer."""
        tally = self._progress.targets[line.target]
        queued = sum(key in group.calls for key in line.trials)
        tally.queued += queued
        try:
            report, fetched = told or (BatchStatus(id=line.id), Response())
            while report.entries is None:
                found = await self._poll_until_news(group.batching, line, like)
                if isinstance(found, Response):
                    self._answer_all(group, line, found)
                    return
                report, fetched = found
        finally:
            tally.queued -= queued
        waiting: dict[str, Request] = {key: call.request for key, call in group.calls.items()}
        self._distribute_answers(
            group,
            line,
            batch_responses(group.batching, like.target, line, waiting, report, fetched),
        )

    async def _poll_until_news(
        self, batching: BatchApi, line: BatchLine, like: Call
    ) -> tuple[BatchStatus, Response] | Response:
        """The next report that says something new, or the response that every call gets because
        none will come."""
        poll = batching.encode_poll(like.wire, line.id)
        question = replace(
            like, key=line.key, position="b1", wire=poll, alone=False, batch=Batch((), line.id)
        )
        wait, in_vain = FIRST_POLL_WAIT, 0
        while True:
            await self._stop.sleep_or_stop(wait)
            response = await self._inner(question)
            self._books.on_poll()
            report = response.error or _read_report(batching, response)
            if isinstance(report, BatchStatus) and report.entries is not None:
                return report, response
            in_vain = in_vain + 1 if isinstance(report, Error) and not report.retryable else 0
            if isinstance(report, Error) and (
                not response.attempts or _is_refused(report) or in_vain >= MAX_UNREADABLE_POLLS
            ):
                return _abandoned_response(line, report, response)
            wait = min(wait * POLL_BACKOFF, MAX_POLL_WAIT)

    def _distribute_answers(
        self, group: _Group, line: BatchLine, answers: Mapping[str, Response]
    ) -> None:
        """Settle what the batch cost, and answer; what nobody has asked for yet is kept until
        somebody does."""
        target, books = self._target_of(group), self._books
        owed = [key for key in line.trials if key in group.calls or self._known.get(key) is line]
        answers = {key: books.check_model(target, answers[key]) for key in owed}
        costs = [books.cost(target, answers[key]).usd for key in owed]
        known = [cost for cost in costs if cost is not None]
        self._budget.settle_batch(line.key, sum(known) if len(known) == len(costs) else None)
        for key in owed:
            self._known.pop(key, None)
            if key in group.calls:
                group.resolve(key, answers[key])
            else:
                self._early[key] = answers[key]

    def _answer_all(self, group: _Group, line: BatchLine, response: Response) -> None:
        if (
            response.attempts
        ):  # the batch is lost, not only out of reach: who asks from here on asks anew
            self._budget.settle_batch(line.key, None)
            for key in line.trials:
                self._known.pop(key, None)
        else:  # the target will be stopped, so that its other batches are not asked after either
            for each in {
                line.key,
                *(other.key for other in self._known.values() if other.target == line.target),
            }:
                self._budget.leave_batch(each)
        for key in line.trials:
            if key in group.calls:
                group.resolve(key, response)

    @staticmethod
    def _target_of(group: _Group) -> Target:
        return next(iter(group.calls.values())).target


def _abandoned_response(line: BatchLine, error: Error, response: Response) -> Response:
    """A batch out of reach (the run ends, the key is refused, nobody is there) is still to be had;
    else it is lost."""
    out_of_reach = not response.attempts or (
        error.kind in TARGET_KINDS and error.kind != "not_found"
    )
    return Response(error=error) if out_of_reach else lost_response(line, error, response)


def _read_report(batching: BatchApi, response: Response) -> BatchStatus | Error:
    try:
        return batching.decode_status(response.text)
    except ValueError as wrong:
        return Error("provider", "unreadable", f"the provider answered with {wrong}")


def _is_refused(error: Error) -> bool:
    """Whether the service will say the same again, and not only something on the way to it, such as
    a proxy's page."""
    return not error.retryable and (
        error.kind in TARGET_KINDS or (error.status is not None and 400 <= error.status < 500)
    )


def _is_divisible(error: Error) -> bool:
    """Whether fewer requests may be taken where these were not."""
    return error.kind == "too_large" or (error.boundary == "budget" and error.kind == "exhausted")


def _submission_size(call: Call) -> int:
    return len(call.wire.body) + REQUEST_OVERHEAD


def _batch_key(calls: list[Call]) -> str:
    digest = blake2b(digest_size=16)
    for call in calls:
        digest.update(call.key.encode())
    return digest.hexdigest()


# ── Responses ─────────────────────────────────────────────────────────────────────────────────────


def batch_responses(
    batching: BatchApi,
    target: Target,
    line: BatchLine,
    requests: Mapping[str, Request],
    report: BatchStatus,
    fetched: Response,
) -> dict[str, Response]:
    """By trial key, the answer to each request of a batch that is done; one that has none is an
    error that may pass.

    `requests` are those that are waited for; `fetched` is the poll that brought the report.
    """
    entries = _match_entries(line, report.entries or ())
    decoded = {
        key: batching.decode_entry(target, requests.get(key, _UNASKED), entry)
        for key, entry in entries.items()
    }
    usages = _divide_usage(line, decoded, report.usage)
    marks = Marks(done=fetched.marks.done)
    found = {
        key: _build_response(each, usages[key], marks, fetched.headers)
        for key, each in decoded.items()
    }
    missing = {key: _missing_response(line, marks) for key in line.trials if key not in found}
    return found | missing


def lost_response(line: BatchLine, error: Error, fetched: Response) -> Response:
    """The answer to each request of a batch that the service does not know, or not any more; it may
    have been billed."""
    told = (
        f"the batch {line.id} cannot be fetched: {error.message}; `harness resume` sends its"
        " requests again"
    )
    said = replace(error, boundary="provider", kind="batch_lost", message=told, retryable=True)
    return Response(
        error=said,
        attempts=(Attempt(Marks(done=fetched.marks.done), status=200, error=said),),
        flags=(BATCHED,),
    )


def _match_entries(line: BatchLine, entries: Sequence[BatchEntry]) -> dict[str, BatchEntry]:
    """Each entry by the trial whose reference it bears, else by its place;
    the first of two counts."""
    known, found = frozenset(line.trials), dict[str, BatchEntry]()
    for entry in entries:
        if entry.reference in known:
            found.setdefault(str(entry.reference), entry)
        elif entry.reference is None and 0 <= entry.place < len(line.trials):
            found.setdefault(line.trials[entry.place], entry)
    return found


class _Used(Struct, frozen=True):
    """The tokens of one answer: `billed` as far as the service's own figures say, `told` as far as
    anything does."""

    billed: Usage | None
    told: Usage | None


def _divide_usage(
    line: BatchLine, decoded: Mapping[str, DecodedResponse], total: Usage | None
) -> dict[str, _Used]:
    own = {key: _Used(each.usage, each.usage) for key, each in decoded.items()}
    silent = [key for key, each in decoded.items() if each.usage is None and each.error is None]
    guesses = [_estimate_usage(line, key, decoded[key]) for key in silent]
    if total is None:
        return own | {key: _Used(None, guess) for key, guess in zip(silent, guesses, strict=True)}
    told = [each.usage for each in decoded.values() if each.usage is not None]
    return own | {
        key: _Used(share, share)
        for key, share in zip(silent, apportion_usage(total, told, guesses), strict=True)
    }


def _estimate_usage(line: BatchLine, key: str, answer: DecodedResponse) -> Usage:
    output = estimate_answer(answer.message) if answer.message else 0
    return Usage(line.inputs[line.trials.index(key)], output, source="estimated")


def _build_response(
    decoded: DecodedResponse, used: _Used, marks: Marks, headers: Mapping[str, str]
) -> Response:
    # An entry that failed has no status: nothing was generated for it, and what is without a status
    # costs nothing.
    status = 200 if decoded.error is None else None
    return Response(
        message=decoded.message,
        usage=used.told,
        finish_reason=decoded.finish_reason,
        attempts=(Attempt(marks, status=status, usage=used.billed, error=decoded.error),),
        error=decoded.error,
        model=decoded.model,
        fingerprint=decoded.fingerprint,
        headers=headers,
        flags=(*decoded.flags, BATCHED),
        logprobs=decoded.logprobs,
    )


def _missing_response(line: BatchLine, marks: Marks) -> Response:
    error = Error(
        "provider",
        "missing",
        f"the batch {line.id} came back without an answer to this request",
        retryable=True,
    )
    return Response(error=error, attempts=(Attempt(marks, error=error),), flags=(BATCHED,))
