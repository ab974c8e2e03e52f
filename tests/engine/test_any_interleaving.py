"""However successes, errors, retries and kills fall, the finished run is the undisturbed one."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from harness import registry
from harness.engine.progress import Progress, Tally
from harness.engine.runner import TrialContext, run_trials
from harness.model import (
    Attempt,
    Call,
    Error,
    Identity,
    Limits,
    Marks,
    Message,
    Request,
    Response,
    Target,
    ToolCall,
    ToolResult,
    Trial,
    Usage,
)
from harness.runs.folder import RECORDS, read_lines, read_records
from harness.runs.redaction import Redactor
from harness.runs.resume_state import ResumeState
from harness.runs.writer import RunWriter
from harness.suite import GraderSpec
from harness.transport.middleware.replay import Replay, StoredExchange, encode_stored
from harness.transport.middleware.retry import Retry
from harness.transport.middleware.stop import Stop
from harness.transport.send import Clock
from tests.properties import scale_examples

provider = registry.load_plugin("providers", "openai")

TARGET = Target(
    "m", "openai", "tiny", "http://h/v1", "http://h/v1", limits=Limits(concurrency=2, retries=1)
)
RETRYABLE = Error("provider", "overloaded", "later", retryable=True)
PERMANENT = Error("provider", "bad_request", "never")


class Killed(BaseException):
    """The process is gone at this instant."""


class Script:
    """The world's side: how often each trial fails before it ends, and how; and at which steps the
    process dies."""

    def __init__(self, failures: list[int], permanent: list[bool], kills: list[int]) -> None:
        self.failures, self.permanent = failures, permanent
        self.asked: Counter[str] = Counter()
        self._steps, self._kills = 0, set(kills)

    def step(self) -> None:
        """Something happens; the process may die of it."""
        self._steps += 1
        if self._steps in self._kills:
            raise Killed

    async def send(self, call: Call) -> Response:
        self.step()
        await asyncio.sleep(0)
        number = int(call.key[:16], 16)
        self.asked[call.key] += 1
        self.step()
        attempts = (Attempt(Marks(sent=self._steps, done=self._steps), 200, Usage(1, 1)),)
        if self.asked[call.key] <= self.failures[number]:
            return Response(attempts=attempts, error=RETRYABLE)
        if self.permanent[number]:
            return Response(attempts=attempts, error=PERMANENT)
        return Response(Message("assistant", f"answer {number}"), Usage(1, 1), "stop", attempts)

    async def call_tool(self, call: ToolCall) -> ToolResult:
        self.step()
        await asyncio.sleep(0)
        self.step()
        return ToolResult(call.id, "true")


def trials(count: int, graders: tuple[GraderSpec, ...]) -> list[Trial]:
    return [
        Trial(
            Identity("e", f"c{number}", "p", "m", {}, 0),
            f"{number:016x}" + "0" * 16,
            Request((Message("user", f"question {number}"),)),
            expected=f"answer {number}",
            graders=graders,
        )
        for number in range(count)
    ]


async def no_wait(_: float) -> None:
    await asyncio.sleep(0)


async def session(folder: Path, planned: list[Trial], script: Script) -> None:
    """One process's stretch of the run: what `harness resume` does."""
    owed = ResumeState.read(folder)
    kept = [
        found
        for line in owed.exchanges
        if line.exchange.response.error is None
        and (found := encode_stored("run", line.key, line.repeat, TARGET, line.exchange))
    ]
    answered = {
        line.key: script.asked[line.key]
        for line in owed.exchanges
        if line.exchange.response.error is None
    }
    try:
        await perform(folder, planned, script, owed, kept)
    finally:
        assert answered == {key: script.asked[key] for key in answered}, (
            "a completed exchange was asked again"
        )


async def perform(
    folder: Path,
    planned: list[Trial],
    script: Script,
    owed: ResumeState,
    kept: list[StoredExchange],
) -> None:
    """Send what is owed, through the layers that matter here."""
    async with RunWriter(folder, Redactor({})) as store:
        world = TrialContext(
            session="s",
            send=Replay(kept, own="run").around(Retry(script.send, clock=Clock(sleep=no_wait))),
            call_tool=script.call_tool,
            append=store.append,
            observe=lambda _: script.step(),
            stop=Stop(),
            progress=Progress({"m": Tally(planned=len(planned), already=owed.finished["m"])}),
            known_tools=owed.tools,
        )
        await run_trials(world, [TARGET], lambda _: iter(planned), owed.final.__contains__)


def finished(
    folder: Path, planned: list[Trial], script: Script
) -> dict[str, tuple[str, str | None, bool | None]]:
    """Resume until nothing is owed; what each trial came to."""
    for _ in range(200):
        try:
            asyncio.run(session(folder, planned, script))
        except BaseExceptionGroup as group:
            assert group.subgroup(Killed) is not None
            with (folder / RECORDS).open("ab") as file:
                file.write(b'{"kind":"record","key":"torn')
        if len(ResumeState.read(folder).final) == len(planned):
            break
    return {
        record.key: (
            record.response.text if record.response else "",
            record.error and record.error.kind,
            record.passed,
        )
        for record in read_records(folder)
    }


SPECS = (
    GraderSpec(type="equals", arguments={"value": "{{ expected }}"}, id="equals"),
    GraderSpec(type="python", arguments={"function": "/grader.py:one"}, id="one"),
    GraderSpec(type="python", arguments={"function": "/grader.py:two"}, id="two"),
)
"""Two of them are asked in a child process: their results are journalled one by one."""


@settings(max_examples=scale_examples(60))
@given(
    plan=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=5),
    kills=st.lists(st.integers(1, 60), max_size=6),
)
def test_the_finished_run_equals_the_undisturbed_one(
    plan: list[tuple[int, bool]], kills: list[int]
) -> None:
    failures, permanent = [each[0] for each in plan], [each[1] for each in plan]
    planned = trials(len(plan), SPECS)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        undisturbed = finished(Path(one), planned, Script(failures, permanent, []))
        script = Script(failures, permanent, kills)
        disturbed = finished(Path(other), planned, script)
        assert disturbed == undisturbed
        assert len(disturbed) == len(planned)
        for number, trial in enumerate(planned):
            lost = script.asked[trial.key] - (failures[number] + 1)
            assert 0 <= lost <= len(kills), (
                "beyond what fails and what was in flight at a kill, nothing is asked again"
            )
        assert all(line.key in disturbed for line in read_lines(Path(other) / RECORDS))
