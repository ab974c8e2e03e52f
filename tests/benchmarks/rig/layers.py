"""What each layer of a request costs: the pure ones alone, the others by what they add.

Each is run over the same trials, several times, and the fastest time counts: others on the machine
can only slow it down. The transport's share is not here: it is the whole job's slope less the sum
of these.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import process_time
from typing import TypeAlias

import uvloop
from mock_server import BEFORE, BEHIND, DIGITS, PIECES

from harness import registry
from harness.app.prepare import prepare
from harness.engine.grading import GraderSets, build_answer
from harness.engine.progress import Progress, Tally
from harness.engine.runner import TrialContext, run_trials
from harness.graders import grade_answer
from harness.model import (
    Attempt,
    Call,
    Exchange,
    Grade,
    Marks,
    Record,
    Response,
    Target,
    ToolCall,
    ToolResult,
    Trial,
)
from harness.plan import Plan
from harness.pricing.cost import exchange_cost, upper_bound
from harness.runs.records import encode_line
from harness.runs.redaction import Redactor
from harness.runs.writer import RunWriter
from harness.suite import load_suite
from harness.transport.middleware.limit import Slot
from harness.transport.middleware.stop import Stop
from harness.transport.send import Send
from harness.transport.stack import StackConfig, build_send_stack
from rig.questions import write_suite

ROUNDS = 7

Work: TypeAlias = Callable[[], Awaitable[None] | None]


@dataclass(frozen=True)
class Ready:
    """What the layers are run over: trials, what is sent for each and what
    comes back, made once."""

    plan: Plan
    trials: list[Trial]
    exchanges: list[Exchange]
    grades: list[tuple[Grade, ...]]

    @property
    def target(self) -> Target:
        """The one target."""
        return self.plan.targets[0]


def layers(count: int, *, stream: bool) -> Mapping[str, float]:
    """CPU microseconds a request by layer, in the order a request meets them."""
    with _ready(count, stream=stream) as ready, tempfile.TemporaryDirectory() as folder:
        works: dict[str, Work] = {
            "case, render, plan, key": partial(_plan, ready),
            "encode": partial(_encode, ready),
            "decode": partial(_decode, ready),
            "grade": partial(_grade, ready),
            "price": partial(_price, ready),
            "bound": partial(_bound, ready),
            "record: encode": partial(_record, ready),
            "record: write": partial(_write, ready, Path(folder)),
            "engine": partial(_run, ready, Path(folder), stack=False),
            "stacked": partial(_run, ready, Path(folder), stack=True),
        }
        cost = {name: seconds / count * 1e6 for name, seconds in _fastest(works).items()}
    engine, stacked, write = cost.pop("engine"), cost.pop("stacked"), cost["record: write"]
    driven = ("case, render, plan, key", "encode", "grade", "price", "record: write")
    beside = {
        "record: write": write - cost["record: encode"],
        "run, drive": engine - sum(cost[name] for name in driven),
        "stack": stacked - engine - cost["bound"],
    }
    return cost | beside


def _fastest(works: Mapping[str, Work]) -> dict[str, float]:
    """CPU seconds of each work's fastest round; they take turns, so that a busy moment disturbs all
    alike."""
    seconds = dict.fromkeys(works, float("inf"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for _ in range(ROUNDS):
            for name, work in works.items():
                seconds[name] = min(seconds[name], runner.run(_timed(work)))
    return seconds


async def _timed(work: Work) -> float:
    began = process_time()
    if (rest := work()) is not None:
        await rest
    return process_time() - began


# ── The layers ────────────────────────────────────────────────────────────────────────────────────


def _plan(ready: Ready) -> None:
    for _ in ready.plan.trials(ready.target):
        pass


def _encode(ready: Ready) -> None:
    provider = registry.load_plugin("providers", ready.target.provider)
    for trial in ready.trials:
        provider.encode(ready.target, trial.request)


def _decode(ready: Ready) -> None:
    for trial in ready.trials:
        _answer(ready.target, trial)


def _price(ready: Ready) -> None:
    for exchange in ready.exchanges:
        exchange_cost(exchange.response.attempts, ready.target.price)


def _bound(ready: Ready) -> None:
    """What the budget reserves before sending, and what it settles on."""
    price = ready.target.price
    assert price is not None
    for exchange in ready.exchanges:
        upper_bound(exchange.request, price, None)
        exchange_cost(exchange.response.attempts[-1:], price)


def _grade(ready: Ready) -> None:
    graders = GraderSets()
    for trial, exchange in zip(ready.trials, ready.exchanges, strict=True):
        _graded(graders, trial, exchange)


def _record(ready: Ready) -> None:
    for record in _records(ready):
        encode_line(record)


async def _write(ready: Ready, folder: Path) -> None:
    async with RunWriter(folder, Redactor({})) as store:
        for record in _records(ready):
            store.append(record)


async def _run(ready: Ready, folder: Path, *, stack: bool) -> None:
    """The whole engine with an answer that is there at once, below the Send
    stack or in its place."""
    target, stop = ready.target, Stop()
    answers = {
        trial.key: exchange.response
        for trial, exchange in zip(ready.trials, ready.exchanges, strict=True)
    }

    async def at_once(call: Call, _: Slot | None = None) -> Response:
        return answers[call.key]

    async with RunWriter(folder, Redactor({})) as store:
        world = TrialContext(
            session="s",
            send=_stack(at_once, stop) if stack else at_once,
            call_tool=_no_tool,
            append=store.append,
            observe=lambda _: None,
            stop=stop,
            progress=Progress({target.name: Tally(planned=len(ready.trials))}),
        )
        await run_trials(world, [target], ready.plan.trials)


def _stack(http: Callable[..., object], stop: Stop) -> Send:
    return build_send_stack(http, StackConfig(budget=1000.0), stop)  # type: ignore[arg-type]


async def _no_tool(call: ToolCall) -> ToolResult:
    raise AssertionError(f"nobody calls {call.name} here")


# ── What they are run over ────────────────────────────────────────────────────────────────────────


@contextmanager
def _ready(count: int, *, stream: bool) -> Iterator[Ready]:
    with tempfile.TemporaryDirectory() as folder:
        suite = load_suite(
            write_suite(Path(folder), "http://127.0.0.1:1/v1", count, 64, stream=stream)
        )
        with prepare(suite, {}, live=True) as prepared_suite:
            plan = prepared_suite.plan
            target = plan.targets[0]
            trials = list(plan.trials(target))
            exchanges = [_exchange(target, trial) for trial in trials]
            graders = GraderSets()
            graded = [
                _graded(graders, trial, exchange)
                for trial, exchange in zip(trials, exchanges, strict=True)
            ]
            yield Ready(plan, trials, exchanges, graded)


def _exchange(target: Target, trial: Trial) -> Exchange:
    response = _answer(target, trial)
    cost = exchange_cost(response.attempts, target.price)
    return Exchange("t0", "target", target.name, trial.request, response, cost)


def _answer(target: Target, trial: Trial) -> Response:
    decoder = registry.load_plugin("providers", target.provider).make_decoder(target, trial.request)
    if trial.request.stream:
        for event in _EVENTS:
            decoder.feed_event("", event)
    else:
        decoder.feed_body(_BODY[0] + trial.identity.case.encode() + _BODY[1])
    found = decoder.finish({})
    at = tuple(range(10**9, 10**9 + 20)) if trial.request.stream else ()
    marks = Marks(
        1, 2, 3, 4, 5, *(at[:1] * 2 or (None, None)), at[-1] if at else None, 10**9, at, len(at)
    )
    attempts = (Attempt(marks, 200, found.usage, None, clock="protocol"),)
    return Response(
        found.message,
        found.usage,
        found.finish_reason,
        attempts,
        None,
        found.model,
        found.fingerprint,
    )


_BODY = (BEFORE.partition(b"\r\n\r\n")[2], BEHIND)
_STREAM = b"".join(PIECES).replace(b"#" * DIGITS, b"0" * DIGITS)
_EVENTS = [line[len(b"data: ") :] for line in _STREAM.split(b"\n") if line.startswith(b"data: ")]


def _graded(graders: GraderSets, trial: Trial, exchange: Exchange) -> tuple[Grade, ...]:
    flow = grade_answer(graders.get_built(trial.graders), build_answer(trial, (exchange,)))
    try:
        next(flow)
    except StopIteration as ended:
        grades: tuple[Grade, ...] = ended.value
        return grades
    raise AssertionError("the number grader asks nobody")


def _records(ready: Ready) -> Iterator[Record]:
    for trial, exchange, grades in zip(ready.trials, ready.exchanges, ready.grades, strict=True):
        who = trial.identity
        yield Record(
            key=trial.key,
            eval=who.eval,
            case=who.case,
            prompt=who.prompt,
            target=who.target,
            setting=who.setting,
            repeat=who.repeat,
            session="session",
            exchanges=(exchange,),
            grades=grades,
            score=1.0,
            passed=True,
            cost=exchange.cost.usd,
            tags=trial.tags,
            expected=trial.expected,
        )
