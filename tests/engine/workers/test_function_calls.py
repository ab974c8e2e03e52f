"""Tools' functions, really called: in a child that is killed when it overruns, or in this process
where it is trusted."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from harness.engine.drive import Journal, drive
from harness.engine.workers.function_calls import build_tool_caller
from harness.engine.workers.pool import WorkerPool
from harness.flows.base import Ask, Flow, FunctionCall
from harness.model import Error, Exchange, Message, Request, Response, ToolResult
from harness.runs.records import Line, ToolLine

TOOLS = """
    import asyncio, os, time

    def add(a: int, b: int = 1) -> int:
        return a + b

    async def later(text: str) -> str:
        await asyncio.sleep(0)
        return text.upper()

    def process() -> int:
        return os.getpid()

    def fails(name: str):
        raise LookupError(f"no {name}")

    def hangs():
        time.sleep(3600)

    async def waits():
        await asyncio.sleep(3600)

    def late():
        raise TimeoutError("the warehouse did not answer")

    def leaves():
        raise SystemExit("bye")

    async def gives_up():
        raise asyncio.CancelledError

    def interrupts():
        raise KeyboardInterrupt

    def secret():
        return object()

    def environment() -> list:
        return sorted(os.environ)
"""


def called(
    folder: Path, name: str, seconds: float = 20.0, /, *, trusted: bool = False, **arguments: Any
) -> ToolResult:
    path = folder / "tools.py"
    path.write_text(textwrap.dedent(TOOLS))

    async def call() -> ToolResult:
        async with WorkerPool(
            size=1, timeout=0.001
        ) as pool:  # a tool's own time counts, not the pool's
            return await build_tool_caller(pool)(
                FunctionCall("c", f"{path}:{name}", json.dumps(arguments), seconds, trusted)
            )

    return asyncio.run(call())


@pytest.mark.parametrize("trusted", [False, True])
def test_a_function_gets_its_arguments_by_name(tmp_path: Path, trusted: bool) -> None:
    assert called(tmp_path, "add", trusted=trusted, a=2) == ToolResult("c", "3")
    assert called(tmp_path, "later", trusted=trusted, text="hi") == ToolResult("c", '"HI"')


def test_only_a_trusted_function_runs_in_this_process(tmp_path: Path) -> None:
    assert int(called(tmp_path, "process").content) != os.getpid()
    assert int(called(tmp_path, "process", trusted=True).content) == os.getpid()


def test_a_child_has_no_api_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "0123456789")
    assert "SOME_API_KEY" not in json.loads(called(tmp_path, "environment").content)


@pytest.mark.parametrize("trusted", [False, True])
def test_what_a_function_raises_is_its_result(tmp_path: Path, trusted: bool) -> None:
    error = called(tmp_path, "fails", trusted=trusted, name="such thing").error
    assert error is not None
    assert (error.boundary, error.kind) == ("tool", "raised")
    assert error.message.startswith("LookupError: no such thing")
    unspeakable = called(tmp_path, "secret", trusted=trusted).error
    assert unspeakable is not None
    assert "JSON" in unspeakable.message


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("late", "TimeoutError: the warehouse did not answer"),
        ("leaves", "SystemExit: bye"),
        ("gives_up", "CancelledError"),
        ("interrupts", "KeyboardInterrupt"),
    ],
)
def test_no_way_out_of_a_function_is_a_way_out_of_the_run(
    tmp_path: Path, name: str, words: str, trusted: bool
) -> None:
    error = called(tmp_path, name, trusted=trusted).error
    assert error is not None
    assert error.kind == "raised"
    assert words in error.message


def test_a_trusted_function_that_never_ends_does_not_keep_the_process_from_ending(
    tmp_path: Path,
) -> None:
    (tmp_path / "tools.py").write_text(textwrap.dedent(TOOLS))
    program = f"""
        import asyncio
        from harness.engine.workers.function_calls import build_tool_caller
        from harness.engine.workers.pool import WorkerPool
        from harness.flows.base import FunctionCall

        call = FunctionCall("c", {f"{tmp_path}/tools.py:hangs"!r}, "{{}}", 0.3, True)
        print(asyncio.run(build_tool_caller(WorkerPool())(call)).error.kind)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "timeout\n"), ended.stderr


@pytest.mark.parametrize(("name", "trusted"), [("hangs", False), ("waits", False), ("waits", True)])
def test_a_function_that_takes_too_long_is_ended(tmp_path: Path, name: str, trusted: bool) -> None:
    error = called(tmp_path, name, 0.3, trusted=trusted).error
    assert error is not None
    assert (error.kind, error.boundary) == ("timeout", "tool")
    assert error.message.startswith("it took longer than 0.3 s")


def test_a_result_is_written_down_before_its_sibling_is_done() -> None:
    lines: list[Line] = []
    quick_is_written = asyncio.Event()

    def flow() -> Flow[tuple[ToolResult, ...]]:
        yield Ask("target", Request())
        results: tuple[ToolResult, ...] = yield (
            FunctionCall("1", "quick", "{}", 9),
            FunctionCall("2", "slow", "{}", 9),
        )
        return results

    async def ask(role: str, request: Request, position: str, target: str | None) -> Exchange:
        return Exchange(position, role, "m", request, Response(Message("assistant")))

    async def call(need: Any) -> ToolResult:
        if need.function == "slow":
            await quick_is_written.wait()
        return ToolResult(need.id, '"x"')

    def append(line: Line) -> None:
        lines.append(line)
        if isinstance(line, ToolLine):
            quick_is_written.set()

    results = asyncio.run(drive(flow(), ask, call, Journal("k" * 32, 0, "s", append)))
    assert [each.id for each in results] == ["1", "2"]
    assert [line.position for line in lines if isinstance(line, ToolLine)] == ["t1", "t2"]


def test_a_failed_result_comes_back_from_the_journal_as_it_was() -> None:
    failed = ToolResult("1", "", Error("tool", "timeout", "too long"))

    def flow() -> Flow[ToolResult]:
        (result,) = yield (FunctionCall("1", "f", "{}", 9),)
        found: ToolResult = result
        return found

    async def never(*_: Any) -> Any:
        raise AssertionError("it was performed again")

    assert (
        asyncio.run(drive(flow(), never, never, Journal("k" * 32, 0, "s", print, {"t0": failed})))
        == failed
    )


def test_a_known_result_of_another_call_is_not_taken_for_this_ones() -> None:
    """The answer that made the call was lost and asked for again, and called something else."""
    known = {"t0": ToolResult("call_old", '"old"')}

    def flow() -> Flow[ToolResult]:
        (result,) = yield (FunctionCall("call_new", "f", "{}", 9),)
        found: ToolResult = result
        return found

    async def ask(*_: Any) -> Exchange:
        raise AssertionError("nothing is asked here")

    async def call(need: Any) -> ToolResult:
        return ToolResult(need.id, '"new"')

    result = asyncio.run(
        drive(flow(), ask, call, Journal("k" * 32, 0, "s", lambda line: None, known))
    )
    assert result.content == '"new"'
