"""A process that runs a share of a plan: its stack, its targets and its trials come as JSON on
standard input.

It knows nothing of a suite and prints one record a line; its trials are graded as anywhere else.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec
import orjson

from harness import plan
from harness.engine.progress import Progress, Tally
from harness.engine.runner import TrialContext, run_trials
from harness.model import Target, ToolCall, ToolResult, Trial
from harness.runs import records
from harness.transport.http.client import HttpClient
from harness.transport.middleware.stop import Stop
from harness.transport.stack import StackConfig, build_send_stack


async def main() -> None:
    """Run the share, and print its records."""
    given = orjson.loads(sys.stdin.buffer.read())
    terms = msgspec.convert(given["terms"], StackConfig)
    targets = msgspec.convert(given["targets"], tuple[Target, ...])
    trials = [plan.decode_trial(orjson.dumps(trial)) for trial in given["trials"]]
    async with HttpClient({}) as http:
        await run_trials(
            _world(http, terms, targets, trials), targets, lambda target: _of(target, trials)
        )


def _of(target: Target, trials: list[Trial]) -> Any:
    return iter([trial for trial in trials if trial.identity.target == target.name])


def _world(
    http: HttpClient, terms: StackConfig, targets: tuple[Target, ...], trials: list[Trial]
) -> TrialContext:
    stop = Stop()
    return TrialContext(
        session="worker",
        send=build_send_stack(http, terms, stop),
        call_tool=_no_tools,
        append=lambda line: print(records.encode_line(line).decode(), end=""),
        observe=lambda record: None,
        stop=stop,
        progress=Progress({target.name: Tally(planned=len(trials)) for target in targets}),
    )


async def _no_tools(call: ToolCall) -> ToolResult:
    raise AssertionError(f"nobody calls {call.name} here")


if __name__ == "__main__":
    asyncio.run(main())
