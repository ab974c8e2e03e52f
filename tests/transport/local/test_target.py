"""The user's own code as a target: real files, real programs, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from harness import registry
from harness.errors import UsageError
from harness.model import Call, Error, Limits, Message, Request, Response, Target, Timeouts
from harness.transport.local.program import Program
from harness.transport.local.target import LocalResponse, LocalTargets
from harness.transport.middleware.limit import Limit, Slot
from harness.transport.middleware.quota import TokenNeed
from tests.transport.calling import sending

APP = """
import asyncio, threading, time

together, most = 0, 0
gate = threading.Barrier(3)

def echo(request):
    return request["messages"][-1]["content"]

def words(request):
    for word in request["messages"][-1]["content"].split():
        time.sleep(0.02)
        yield word

async def later(request):
    await asyncio.sleep(0.01)
    return {"text": "later", "usage": {"input": 3, "output": 1}, "cost": 0.5, "model": "mine-1"}

async def pieces(request):
    yield {"reasoning": "hm"}
    await asyncio.sleep(0.02)
    yield {"text": "yes"}

def wrapped(request):
    return later(request)

class Agent:
    async def __call__(self, request):
        return "an agent"

agent = Agent()

def meet(request):
    gate.wait(20)
    return "met"

def broken(request):
    raise LookupError("no such order")

async def broken_later(request):
    yield "so far"
    raise LookupError("no such order")

def leave(request):
    raise SystemExit(3)

async def cancelled(request):
    raise asyncio.CancelledError

async def late(request):
    raise TimeoutError("the database")

stopped = threading.Event()

def endless(request):
    try:
        while True:
            time.sleep(0.01)
            yield "on "
    finally:
        stopped.set()

async def hang(request):
    await asyncio.sleep(60)

def nothing(request):
    return None
"""


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def ask(tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]) -> Callable[..., Response]:
    """One attempt at a target of `provider` and `model` in a folder that holds `app.py`."""
    (tmp_path / "app.py").write_text(APP)

    def ask(
        provider: str,
        model: str,
        text: str = "Hi there",
        secrets: dict[str, str] | None = None,
        **more: Any,
    ) -> Response:
        one = calling(tmp_path, provider, model, text, env=tuple(secrets or ()), **more)

        async def attempt() -> Response:
            slot = Slot()
            slot.due = slot.started = time.perf_counter_ns()
            return await LocalTargets([one.target], secrets or {}).around(_http)(one, slot)

        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(attempt())

    return ask


async def _http(call: Call, slot: Slot) -> Response:
    raise AssertionError("nothing goes over HTTP here")


def calling(
    folder: Path,
    provider: str,
    model: str,
    text: str = "Hi",
    total: float = 30,
    concurrency: int = 8,
    stream: bool = True,
    **more: Any,
) -> Call:
    limits = Limits(concurrency=concurrency, timeouts=Timeouts(total=total))
    target = Target(
        "mine", provider, model, f"{provider}:0", folder.as_uri(), limits=limits, **more
    )
    request = Request(messages=(Message("user", text),), stream=stream)
    return Call(
        target,
        request,
        registry.load_plugin("providers", provider).encode(target, request),
        key="k",
    )


def error(response: Response) -> Error:
    assert response.error is not None
    assert response.attempts[-1].error == response.error
    return response.error


# ── Functions ─────────────────────────────────────────────────────────────────────────────────────


def test_a_function_answers(ask: Callable[..., Response]) -> None:
    response = ask("python", "app.py:echo")
    assert (response.text, response.finish_reason, response.error) == ("Hi there", "stop", None)
    assert response.usage is not None and response.usage.source == "estimated"
    marks = response.marks
    assert marks.due and marks.sent and marks.done
    assert marks.due <= marks.sent <= marks.done
    assert (marks.connected, marks.first_token, marks.events) == (None, None, ())
    assert response.attempts[0].clock == "reader"


def test_what_a_generator_yields_is_stamped_as_it_comes(ask: Callable[..., Response]) -> None:
    response = ask("python", "app.py:words", "one two three")
    marks = response.marks
    assert response.text == "onetwothree"
    assert marks.sent and marks.done
    assert [marks.first_token, marks.last_token] == [marks.events[0], marks.events[-1]]
    assert list(marks.events) == sorted(set(marks.events)) and len(marks.events) == 3
    assert marks.events[0] - marks.sent >= 0.02e9
    assert marks.events[2] - marks.events[0] >= 0.04e9


def test_a_coroutine_may_say_what_it_used_and_cost(ask: Callable[..., Response]) -> None:
    response = ask("python", "app.py:later")
    assert response.usage is not None
    assert (response.text, response.model) == ("later", "mine-1")
    assert (response.usage.input, response.usage.output, response.usage.cost) == (3, 1, 0.5)
    assert (response.usage.source, response.attempts[0].usage) == ("reported", response.usage)


def test_an_asynchronous_generator_thinks_first(ask: Callable[..., Response]) -> None:
    response = ask("python", "app.py:pieces")
    marks = response.marks
    assert response.message == Message("assistant", "yes", reasoning="hm")
    assert marks.first_token and marks.first_answer
    assert marks.first_token < marks.first_answer


@pytest.mark.parametrize(
    ("model", "text"), [("app.py:wrapped", "later"), ("app.py:agent", "an agent")]
)
def test_anything_that_can_be_called(ask: Callable[..., Response], model: str, text: str) -> None:
    assert ask("python", model).text == text


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (
            "app.py:broken",
            "raised",
            r"app.py:broken raised LookupError: no such order \(app.py:\d+\)",
        ),
        (
            "app.py:broken_later",
            "raised",
            r"app.py:broken_later raised LookupError: no such order \(app.py:\d+\)",
        ),
        ("app.py:leave", "raised", r"app.py:leave raised SystemExit: 3 \(app.py:\d+\)"),
        ("app.py:cancelled", "raised", r"app.py:cancelled raised CancelledError: "),
        ("app.py:late", "raised", r"app.py:late raised TimeoutError: the database \(app.py:\d+\)"),
        ("app.py:nothing", "bad_answer", "None is not a valid answer"),
    ],
)
def test_what_it_raises_is_data(
    ask: Callable[..., Response], model: str, kind: str, message: str
) -> None:
    found = error(ask("python", model))
    assert (found.boundary, found.kind, found.retryable) == ("target", kind, False)
    assert re.match(message, found.message), found.message


def test_what_was_said_before_it_raised_is_kept(ask: Callable[..., Response]) -> None:
    assert ask("python", "app.py:broken_later").text == "so far"


@pytest.mark.parametrize("model", ["app.py:hang", "app.py:endless"])
def test_time_runs_out(ask: Callable[..., Response], model: str) -> None:
    response = ask("python", model, total=0.2)
    assert error(response).kind == "timeout_total"
    assert error(response).message == f"{model} did not answer within 0.2 s"
    if model == "app.py:endless":
        assert response.text.startswith("on on ")
        ours = [each for name, each in sys.modules.items() if name.startswith("_harness_own_")]
        assert ours[-1].stopped.wait(20), "the generator is closed once nobody listens"


def test_as_many_at_once_as_there_are_slots(tmp_path: Path) -> None:
    """Three calls of a function that only goes on when three are in it."""
    (tmp_path / "app.py").write_text(APP)
    one = calling(tmp_path, "python", "app.py:meet", concurrency=3)
    limit = Limit(LocalTargets([one.target], {}).around(_http), tokens=lambda call: TokenNeed(1, 0))

    async def work() -> list[Response]:
        return await sending(limit, *[one] * 6)

    assert [response.text for response in asyncio.run(work())] == ["met"] * 6


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import no_such_module_anywhere\n",
            r"cannot be imported: ModuleNotFoundError: .*\(app.py:1\)",
        ),
        ("1/0\n", r"cannot be imported: ZeroDivisionError: division by zero \(app.py:1\)"),
        ("raise SystemExit\n", "cannot be imported: SystemExit"),
        ("answer = 3\n", "has no function 'answer'"),
    ],
)
def test_a_file_that_cannot_be_imported_stops_before_anything_is_asked(
    tmp_path: Path, source: str, message: str
) -> None:
    (tmp_path / "app.py").write_text(source)
    with pytest.raises(UsageError, match=message):
        LocalTargets([calling(tmp_path, "python", "app.py:answer").target], {})


def test_a_file_finds_its_neighbours(tmp_path: Path, ask: Callable[..., Response]) -> None:
    (tmp_path / "neighbour_of_app.py").write_text("WORD = 'found'\n")
    (tmp_path / "other.py").write_text(
        "def answer(request):\n    import neighbour_of_app\n    return neighbour_of_app.WORD\n"
    )
    assert ask("python", "other.py:answer").text == "found"


def test_a_function_reads_the_variables_it_names(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    (tmp_path / "keyed.py").write_text(
        "import os\n\ndef answer(request):\n    return os.environ['APP_KEY_OF_TEST']\n"
    )
    try:
        assert (
            ask("python", "keyed.py:answer", secrets={"APP_KEY_OF_TEST": "from a file"}).text
            == "from a file"
        )
    finally:
        os.environ.pop("APP_KEY_OF_TEST", None)


# ── Programs ──────────────────────────────────────────────────────────────────────────────────────


def running(source: str) -> str:
    """A command that runs Python source."""
    return shlex.join([sys.executable, "-c", source])


def test_a_program_reads_the_request_and_prints_the_answer(ask: Callable[..., Response]) -> None:
    source = "import json, sys; print(json.load(sys.stdin)['messages'][-1]['content'].upper())"
    response = ask("command", running(source))
    assert (response.text, response.error) == ("HI THERE", None)
    marks = response.marks
    assert marks.sent and marks.first_token and marks.done
    assert marks.sent < marks.first_token <= marks.done


def test_what_a_program_prints_is_stamped_as_it_comes(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """The program says its second word once its first was heard: it would hang if what it prints
    waited for its end."""
    one = calling(
        tmp_path,
        "command",
        "sh -c 'printf one; while [ ! -e heard ]; do sleep 0.01; done; printf two'",
    )

    class RecordingReader(LocalResponse):
        def add_output(self, data: bytes) -> None:
            super().add_output(data)
            (tmp_path / "heard").touch()

    reader = RecordingReader(
        registry.load_plugin("providers", "command").make_decoder(one.target, one.request),
        stream=True,
    )

    async def attempt() -> Response:
        return reader.build_response(
            one, Slot(), await Program(one.target, {}).perform(one, reader)
        )

    with asyncio.Runner(loop_factory=loop) as runner:
        response = runner.run(attempt())
    assert (response.text, response.error) == ("onetwo", None)
    first, last = response.marks.events
    assert (response.marks.first_token, response.marks.last_token) == (first, last)
    assert first < last


def test_a_program_that_is_not_asked_to_stream_has_no_first_token(
    ask: Callable[..., Response],
) -> None:
    response = ask("command", "echo Paris", stream=False)
    assert (response.text, response.marks.first_token, response.marks.events) == ("Paris", None, ())
    assert response.marks.done is not None


def test_a_program_may_print_an_object(ask: Callable[..., Response]) -> None:
    said = {
        "text": "4",
        "usage": {"input": 7, "output": 1},
        "cost": 0.01,
        "tool_calls": [{"name": "f", "arguments": {}}],
    }
    response = ask("command", running(f"print({json.dumps(json.dumps(said))})"))
    assert response.message is not None and response.usage is not None
    assert (response.text, response.usage.cost, response.message.tool_calls[0].name) == (
        "4",
        0.01,
        "f",
    )


def test_a_program_need_not_read(ask: Callable[..., Response]) -> None:
    assert ask("command", "echo Paris", text="x" * 1_000_000).text == "Paris"


def test_it_runs_beside_the_suite_without_a_shell(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    script = tmp_path / "agent.sh"
    script.write_text('#!/bin/sh\ncat app.py >/dev/null && echo "$1"\n')
    script.chmod(0o755)
    assert ask("command", "./agent.sh '$HOME; echo *'").text == "$HOME; echo *"


def test_its_environment_holds_no_key_that_was_not_named(
    ask: Callable[..., Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "secret-other")
    found = ask("command", "env", secrets={"MY_API_KEY": "secret-mine"}).text
    assert "MY_API_KEY=secret-mine" in found and "PATH=" in found
    assert "OTHER_API_KEY" not in found


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (
            "sh -c 'echo oops >&2; exit 3'",
            "exited",
            "sh -c 'echo oops >&2; exit 3' ended with exit code 3: oops",
        ),
        ("sh -c 'kill -9 $$'", "exited", "sh -c 'kill -9 $$' was killed by SIGKILL"),
        (
            "./no-such-program",
            "not_started",
            "./no-such-program could not be started: No such file or directory",
        ),
        ("./app.py", "not_started", "./app.py could not be started: Permission denied"),
        ("true", "empty", "it returned neither text nor a tool call"),
    ],
)
def test_a_program_that_fails_is_data(
    ask: Callable[..., Response], model: str, kind: str, message: str
) -> None:
    found = error(ask("command", model))
    assert (found.boundary, found.kind, found.retryable, found.message) == (
        "target",
        kind,
        False,
        message,
    )


def test_only_the_end_of_what_it_complains_isrunning(ask: Callable[..., Response]) -> None:
    source = "import sys; sys.stderr.write('x' * 1_000_000 + 'the cause'); sys.exit(1)"
    found = error(ask("command", running(source))).message
    assert found.endswith("xthe cause") and len(found) < 2500


def test_a_program_that_hangs_is_killed_with_all_it_started(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    source = "sleep 60 & echo $! > child; echo $$ > parent; printf partly; sleep 60"
    response = ask("command", f"sh -c '{source}'", total=0.5)
    assert error(response).kind == "timeout_total"
    assert error(response).message.endswith("did not finish within 0.5 s, and was killed")
    assert response.text == "partly"
    for name in ("parent", "child"):
        assert gone(int((tmp_path / name).read_text()))


def test_what_a_program_leaves_behind_holds_nothing_up(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    """The child keeps the output open: without an end of its own the answer would wait for it."""
    response = ask("command", "sh -c 'sleep 60 & echo $! > child; echo Paris'")
    assert (response.text, response.error) == ("Paris", None)
    assert gone(int((tmp_path / "child").read_text()))


def test_a_program_that_prints_without_end_is_stopped(ask: Callable[..., Response]) -> None:
    found = error(ask("command", "yes"))
    assert (found.kind, found.message) == (
        "too_large",
        "yes printed more than 16,777,216 bytes, and was killed",
    )


def test_a_cancelled_attempt_leaves_no_program(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    one = calling(tmp_path, "command", "sh -c 'echo $$ > parent; exec sleep 60'")

    async def work() -> int:
        task = asyncio.ensure_future(LocalTargets([one.target], {}).around(_http)(one, Slot()))
        while not (tmp_path / "parent").exists() or not (tmp_path / "parent").read_text():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return int((tmp_path / "parent").read_text())

    with asyncio.Runner(loop_factory=loop) as runner:
        assert gone(runner.run(work()))


def gone(pid: int) -> bool:
    """Whether the process ends: what was killed may take a moment to be buried."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_threads_do_not_pile_up(ask: Callable[..., Response]) -> None:
    before = threading.active_count()
    for _ in range(20):
        ask("python", "app.py:echo")
    assert threading.active_count() <= before + 2
