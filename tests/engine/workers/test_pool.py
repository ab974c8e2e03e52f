"""The pool against real child processes, and functions that do their worst."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvloop

from harness.engine.workers.pool import WorkerPool
from harness.graders import Answer, build_graders, run_grader
from harness.graders.base import GraderSpec
from harness.model import Grade, Message, ToolCall, ToolResult

SECONDS = 3.0
"""What a call may take here: much longer than any of these functions needs, and short enough to
wait for the ones that hang."""


def run(test: Callable[[], Awaitable[Any]], *, loop: Any = None) -> Any:
    return anyio.run(test, backend_options={"loop_factory": loop} if loop else {})


def grader(folder: Path, source: str, name: str = "grader.py") -> str:
    """The call name of the function `grade` in a file with this source."""
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return f"python:{path}:grade"


def outcomes(
    *names: str, arguments: dict[str, Any] | None = None, **options: Any
) -> list[ToolResult]:
    """What each call comes to, one after the other in one pool of one child."""

    async def all_of_them() -> list[ToolResult]:
        async with WorkerPool(**{"size": 1, "timeout": SECONDS, **options}) as pool:
            return [
                await pool.call(ToolCall("c", name, json.dumps(arguments or {"text": "42"})))
                for name in names
            ]

    return run(all_of_them)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie waiting for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], bool]) -> None:
    """Wait for what the kernel does in its own time; the test's own time limit is the only one."""
    while not condition():
        time.sleep(0.01)


@pytest.mark.parametrize("loop", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_function_is_given_its_arguments_as_attributes_and_its_value_comes_back_as_json(
    tmp_path: Path, loop: Any
) -> None:
    name = grader(
        tmp_path,
        "def grade(answer): return {'value': answer.text == str(answer.expected), 'reason': 'ü\\ud800'}",
    )
    arguments = json.dumps({"text": "42", "expected": 42})

    async def once() -> ToolResult:
        async with WorkerPool() as pool:
            return await pool.call(ToolCall("call-7", name, arguments))

    result = run(once, loop=loop)
    assert (result.id, result.error) == ("call-7", None)
    assert json.loads(result.content) == {"value": True, "reason": "ü\ud800"}


def test_a_child_is_kept_and_imports_a_file_once_for_each_version_of_it(tmp_path: Path) -> None:
    source = (
        "import os\nseen = []\ndef grade(answer): seen.append(1); return [os.getpid(), len(seen)]"
    )
    name = grader(tmp_path, source)
    first, second = (json.loads(result.content) for result in outcomes(name, name))
    assert first[0] == second[0]
    assert (first[1], second[1]) == (1, 2)


STATE = """
import decimal, json.encoder, locale, os, random, signal, sys, warnings
def meddle(answer):
    decimal.getcontext().prec = 3
    os.environ["MEDDLED"] = "yes"
    os.chdir("/")
    os.umask(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    locale.setlocale(locale.LC_ALL, "C")
    sys.setrecursionlimit(5_000)
    sys.path.insert(0, "/nowhere")
    sys.modules["json5"] = sys
    random.seed(3)
    warnings.simplefilter("error")
    json.encoder.INFINITY = 0
def grade(answer):
    return str([
        decimal.getcontext().prec, os.environ.get("MEDDLED"), os.getcwd() == os.environ["HOME"],
        os.umask(0o22), signal.getsignal(signal.SIGINT) is signal.SIG_IGN, sys.getrecursionlimit(),
        sys.path[0], "json5" in sys.modules, json.encoder.INFINITY,
    ])
"""


def test_what_one_file_changes_in_its_process_is_not_changed_for_another(tmp_path: Path) -> None:
    meddles = grader(tmp_path, STATE, "meddles.py").replace(":grade", ":meddle")
    honest = grader(tmp_path, STATE, "honest.py")
    alone = outcomes(honest)[0]
    after = outcomes(meddles, honest, meddles, honest)
    assert [each.error for each in after] == [None] * 4
    assert after[1].content == after[3].content == alone.content


def test_many_files_have_a_few_children_at_a_time(tmp_path: Path) -> None:
    source = "import os\ndef grade(answer): return os.getpid()"
    names = [grader(tmp_path, source, f"file{number}.py") for number in range(20)]

    async def all_of_them() -> tuple[int, int]:
        async with WorkerPool() as pool:
            found = [await pool.call(ToolCall("c", name, "{}")) for name in names]
            pids = [int(result.content) for result in found]
            return len(set(pids)), sum(map(alive, pids))

    assert run(all_of_them) == (20, 16)


def test_an_edited_file_is_imported_again(tmp_path: Path) -> None:
    async def edit_between() -> list[str]:
        async with WorkerPool(size=1) as pool:
            name = grader(tmp_path, "def grade(answer): return 'old'")
            old = await pool.call(ToolCall("c", name, "{}"))
            grader(tmp_path, "def grade(answer): return 'new'")
            os.utime(tmp_path / "grader.py", ns=(1, 1))
            return [old.content, (await pool.call(ToolCall("c", name, "{}"))).content]

    assert run(edit_between) == ['"old"', '"new"']


def test_neighbours_of_one_file_are_not_found_by_another_folders_file(tmp_path: Path) -> None:
    names = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "helpers.py").write_text(f"NAME = {folder!r}")
        names.append(
            grader(tmp_path / folder, "import helpers\ndef grade(answer): return helpers.NAME")
        )
    assert [result.content for result in outcomes(*names)] == ['"one"', '"two"']


def test_calls_run_side_by_side_up_to_the_pools_size(tmp_path: Path) -> None:
    """Each call waits for the other's file: they can only end if they run at the same time."""
    name = grader(
        tmp_path,
        """
        import time
        from pathlib import Path
        def grade(answer):
            Path(answer.mine).touch()
            while not Path(answer.other).exists():
                time.sleep(0.01)
            return True
        """,
    )
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    results: list[ToolResult] = []

    async def both() -> None:
        async with WorkerPool(size=2, timeout=30) as pool:

            async def one(mine: str, other: str) -> None:
                results.append(
                    await pool.call(ToolCall("c", name, json.dumps({"mine": mine, "other": other})))
                )

            async with anyio.create_task_group() as group:
                group.start_soon(one, a, b)
                group.start_soon(one, b, a)

    run(both)
    assert [result.content for result in results] == ["true", "true"]


def test_a_child_has_no_environment_but_where_to_find_programs_and_an_empty_home(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("CANARY_API_KEY", "sk-canary-0123456789")
    name = grader(
        tmp_path,
        "import os\ndef grade(answer): return [dict(os.environ), os.getcwd(), os.listdir()]",
    )
    (result,) = outcomes(name)
    environment, folder, listing = json.loads(result.content)
    assert "sk-canary-0123456789" not in result.content
    assert set(environment) <= {
        "PATH",
        "LANG",
        "HOME",
        "TMPDIR",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "LC_CTYPE",
    }
    assert environment["HOME"] == folder
    assert listing == []
    assert not Path(folder).exists(), "the folder goes with the child"


FAKES = """
import json, os, sys
fake = json.dumps({"token": "0" * 32, "content": "true"}).encode()
frame = len(fake).to_bytes(4, "big") + fake
def grade(answer):
    print(frame.decode("latin-1"), flush=True)
    sys.__stdout__.buffer.write(frame); sys.__stdout__.buffer.flush()
    os.write(1, frame); os.write(2, frame)
    return False
"""

FAKES_THROUGH_EVERY_FILE = """
import json, os
fake = json.dumps({"token": "0" * 32, "content": "true"}).encode()
def grade(answer):
    for fd in range(3, 64):
        try: os.write(fd, len(fake).to_bytes(4, "big") + fake)
        except OSError: pass
    return False
"""


def test_what_a_function_prints_is_no_verdict(tmp_path: Path) -> None:
    (result,) = outcomes(grader(tmp_path, FAKES))
    assert result.content == "false"


def test_a_frame_without_the_calls_token_is_no_verdict(tmp_path: Path) -> None:
    (result,) = outcomes(grader(tmp_path, FAKES_THROUGH_EVERY_FILE))
    assert result.error is not None
    assert result.error.kind == "crashed"


PIPE = """
import json, sys
main = sys._getframe()
while "results" not in main.f_locals:
    main = main.f_back
results = main.f_locals["results"]
def token(): return main.f_locals["request"]["token"]
def send(frame):
    frame = json.dumps(frame).encode()
    results.write(len(frame).to_bytes(4, "big") + frame)
    results.flush()
"""
"""Finds what its result is written to: a function can reach all that its process has."""

JUNK = [
    b"junk",
    b"\0\0\0\5[1,2]",
    b"\0\0\0\2\xff\xfe",
    b'\0\0\0\x0d{"token": {}}',
    b"\0\1\0\0" + b"[" * 65_536,
    b"\0\0\x13\x88" + b"9" * 5_000,
    b"\xff" * 5_000_000,
]

HOSTILE = {
    "raises": (
        "def grade(answer):\n    raise ValueError('no such queue')",
        "raised",
        "ValueError: no such queue (grader.py:2)",
    ),
    "raises what cannot be printed": (
        "class Odd(Exception):\n    def __str__(self): raise TypeError\ndef grade(answer): raise Odd",
        "raised",
        "could not be read",
    ),
    "does not import": (
        "import nothing_of_this_name\ndef grade(answer): pass",
        "raised",
        "ModuleNotFoundError",
    ),
    "is not Python": ("def grade(answer) return", "raised", "SyntaxError"),
    "is missing": ("def other(answer): pass", "raised", "has no function 'grade'"),
    "leaves": ("import sys\ndef grade(answer): sys.exit(0)", "raised", "SystemExit"),
    "leaves at once": ("import os\ndef grade(answer): os._exit(3)", "crashed", "status 3"),
    "is killed": ("import os\ndef grade(answer): os.kill(os.getpid(), 11)", "crashed", "SIGSEGV"),
    "loops": ("def grade(answer):\n    while True: pass", "timeout", "longer than 3 s"),
    "holds the interpreter lock": (
        "import re\ndef grade(answer): return bool(re.match('(a|aa)+$', 'a' * 60 + 'b'))",
        "timeout",
        "longer than 3 s",
    ),
    "waits for a person": ("def grade(answer): return input()", "raised", "EOFError"),
    "returns too much": ("def grade(answer): return 'x' * 2_000_000", "raised", "2,000,002 bytes"),
    "returns an object": ("def grade(answer): return object()", "raised", "not JSON serializable"),
    "returns NaN": ("def grade(answer): return float('nan')", "raised", "not JSON compliant"),
    "takes all memory": (
        "def grade(answer): return len(bytearray(4 << 30))",
        "raised",
        "MemoryError",
    ),
    "fills the disk": (
        "def grade(answer): open('big', 'wb').write(b'0' * (80 << 20))",
        "raised",
        "File too large",
    ),
    "is killed by a signal without a name": (
        "import os\ndef grade(answer): os.kill(os.getpid(), 40)",
        "crashed",
        "40",
    ),
    **{
        f"writes {junk!r:.20} to its pipe": (
            f"{PIPE}def grade(answer):\n    results.write({junk!r}); results.flush(); return True",
            "crashed",
            "something other than a result",
        )
        for junk in JUNK
    },
    **{
        f"says that it returned {content!r:.20}": (
            f"{PIPE}def grade(answer): send({{'token': token(), 'content': {content!r}}})",
            "crashed",
            "something other than a result",
        )
        for content in ("", "{", 3, None, {"a": 1}, "[" * 100)
    },
    "closes every file": ("import os\ndef grade(answer): os.closerange(0, 64)", "crashed", ""),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_function_that_does_its_worst_is_an_error_and_the_next_call_is_served(
    tmp_path: Path, what: str
) -> None:
    source, kind, words = HOSTILE[what]
    good = grader(tmp_path, "def grade(answer): return 'next'", "good.py")
    bad, then = outcomes(grader(tmp_path, source), good)
    assert bad.error is not None
    assert (bad.error.kind, bad.error.boundary) == (kind, "tool")
    assert words in bad.error.message
    assert then.content == '"next"'


LASTING = {
    "forks": "os.fork()",
    "leaves a process": "os.fork() or time.sleep(100)",
    "leaves a thread": "threading.Thread(target=time.sleep, args=(100,)).start()",
    "leaves a busy thread": "threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()",
    "patches the standard library": "json.loads = os.dup2 = random.random = None",
    "aborts at its end": "atexit.register(os.abort)",
    "prints": "print('x' * 100_000); os.write(1, b'junk'); os.write(2, b'junk')",
    "closes its output": "os.close(1); os.close(2)",
    "sets an alarm": "signal.setitimer(signal.ITIMER_REAL, 0.05)",
    "forgets all modules": "sys.modules.clear()",
}


@pytest.mark.parametrize("what", LASTING)
def test_what_a_function_leaves_behind_is_met_by_no_other_file(tmp_path: Path, what: str) -> None:
    imports = "import atexit, json, os, random, signal, sys, threading, time"
    body = f"{imports}\ndef grade(answer):\n    {LASTING[what]}\n    return True"
    bad = grader(tmp_path, body)
    good = grader(tmp_path, "import json\ndef grade(answer): return json.loads('5')", "good.py")
    first, second, _, fourth = outcomes(bad, good, bad, good)
    assert (first.content, second.content, fourth.content) == ("true", "5", "5")


def test_huge_output_is_thrown_away(tmp_path: Path) -> None:
    (result,) = outcomes(
        grader(tmp_path, "def grade(answer):\n    print('x' * 50_000_000)\n    return True")
    )
    assert result.content == "true"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
def test_everything_a_killed_function_started_ends_with_it(tmp_path: Path) -> None:
    """A fork bomb with a limit to it: thirty processes that would sleep for ever."""
    name = grader(
        tmp_path,
        """
        import os, time
        from pathlib import Path
        def grade(answer):
            pids = []
            for _ in range(30):
                pid = os.fork()
                if pid == 0:
                    time.sleep(100_000)
                pids.append(pid)
            Path(answer.pids).write_text(" ".join(map(str, pids)))
            while True: time.sleep(1)
        """,
    )
    pids = tmp_path / "pids"
    (result,) = outcomes(name, arguments={"pids": str(pids)})
    assert result.error is not None
    assert result.error.kind == "timeout"
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 30
    until(lambda: not any(map(alive, started)))


BUSY = """
import os, time
from pathlib import Path
def grade(answer):
    Path("PID").write_text(f"{os.getpid()} {os.getcwd()}")
    THEN
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
@pytest.mark.parametrize("then", ["while True: pass", "time.sleep(100_000)"])
def test_children_end_when_their_parent_is_killed(tmp_path: Path, then: str) -> None:
    pid = tmp_path / "pid"
    name = grader(tmp_path, BUSY.replace("PID", str(pid)).replace("THEN", then))
    program = f"""
import anyio
from harness.engine.workers.pool import WorkerPool
from harness.model import ToolCall
async def main():
    async with WorkerPool(timeout=100_000) as pool:
        await pool.call(ToolCall("c", {name!r}, "{{}}"))
anyio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        until(lambda: pid.exists() and pid.read_text() != "")
        parent.send_signal(signal.SIGKILL)
    number, folder = pid.read_text().split()
    until(lambda: not alive(int(number)))
    assert not Path(folder).exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
def test_a_cancelled_call_leaves_no_process_and_the_pool_goes_on(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    name = grader(tmp_path, BUSY.replace("PID", str(pid)).replace("THEN", "time.sleep(100_000)"))
    good = grader(tmp_path, "def grade(answer): return True", "good.py")

    async def cancel_one() -> ToolResult:
        async with WorkerPool(size=1, timeout=100_000) as pool:
            async with anyio.create_task_group() as group:
                group.start_soon(pool.call, ToolCall("c", name, "{}"))
                while not (pid.exists() and pid.read_text()):
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()
            assert not alive(int(pid.read_text().split()[0]))
            return await pool.call(ToolCall("c", good, "{}"))

    assert run(cancel_one).content == "true"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
def test_closing_the_pool_ends_its_idle_children_and_starts_no_more(tmp_path: Path) -> None:
    name = grader(tmp_path, "import os\ndef grade(answer): return os.getpid()")
    call = ToolCall("c", name, "{}")

    async def use_and_close() -> int:
        async with WorkerPool() as pool:
            pid = json.loads((await pool.call(call)).content)
        with pytest.raises(RuntimeError, match="closed"):
            await pool.call(call)
        return int(pid)

    assert not alive(run(use_and_close))


def test_no_process_is_started_before_the_first_call() -> None:
    def children() -> set[str]:
        return {
            pid
            for task in Path("/proc/self/task").glob("*/children")
            for pid in task.read_text().split()
        }

    async def open_and_close() -> set[str]:
        async with WorkerPool():
            return children()

    before = children()  # other tests' servers
    assert run(open_and_close) <= before


@pytest.mark.parametrize(
    ("pattern", "options", "found"),
    [
        (r"(?<=: )\d+", {}, "true"),
        (r"(\w)\1", {}, "false"),
        (r"ANSWER(?=:)", {}, "false"),
        (r"ANSWER(?=:)", {"ignore_case": True}, "true"),
        (r"(?=a)answer", {"full": True}, "false"),
    ],
)
def test_pythons_regular_expressions(pattern: str, options: dict[str, bool], found: str) -> None:
    arguments = {
        "pattern": pattern,
        "text": "answer: 42",
        "ignore_case": False,
        "full": False,
        **options,
    }
    (result,) = outcomes("regex", arguments=arguments)
    assert result.content == found


def test_a_regular_expression_that_never_ends_is_ended() -> None:
    arguments = {
        "pattern": r"(?=a)(a|aa)+$",
        "text": "a" * 60 + "b",
        "ignore_case": False,
        "full": False,
    }
    (result,) = outcomes("regex", arguments=arguments, timeout=0.5)
    assert result.error is not None
    assert result.error.kind == "timeout"


def graded(kind: str, arguments: dict[str, Any], answer: Answer, **options: Any) -> Grade:
    """What a grader that leaves the process makes of an answer."""

    async def drive() -> Grade:
        async with WorkerPool(**options) as pool:
            flow = run_grader(
                build_graders([GraderSpec(type=kind, arguments=arguments, id=kind)])[0], answer
            )
            try:
                need: Any = next(flow)
                while True:
                    need = flow.send(await pool.call(need, boundary="grader"))
            except StopIteration as ended:
                grade: Grade = ended.value
                return grade

    result: Grade = run(drive)
    return result


def test_a_python_grader_from_suite_to_grade(tmp_path: Path) -> None:
    source = """
    def grade(answer):
        near = abs(len(answer.text) - answer.expected["length"]) <= answer.variables["slack"]
        return {"value": 1 if near else 0.5, "reason": f"{len(answer.text)} characters, {answer.messages[0]['role']}"}
    """
    address = grader(tmp_path, source).removeprefix("python:")
    answer = Answer(
        "hello", {"length": 6}, {"slack": 1}, messages=(Message("user", "Say something short."),)
    )
    assert graded("python", {"function": address}, answer) == Grade(
        "python", 1.0, "5 characters, user"
    )


def test_a_regex_grader_beyond_re2_from_suite_to_grade() -> None:
    assert graded("regex", {"pattern": r"(?<=is )\d+$"}, Answer("It is 42\n")).value is True


def test_what_would_hold_up_the_run_is_graded_in_a_child() -> None:
    many = [{"n": number} for number in range(2_000)]
    schema = {"items": {"type": "object", "properties": {"n": {"maximum": 1_998}}}}
    verdict = graded("json_schema", {"schema": schema}, Answer(json.dumps(many)))
    assert (verdict.value, verdict.error) == (False, None)
    assert verdict.reason == "$[1999].n: 1999 is greater than the maximum of 1998"
    answer = Answer("ab" * 100_000 + "c")
    assert graded("regex", {"pattern": "(ab){500}c$"}, answer).value is True


def test_a_deep_value_is_checked_in_a_child() -> None:
    schema = {"items": {"allOf": [{"anyOf": [{"oneOf": [{"$ref": "#"}]}]}]}}
    answer = Answer("[" * 200 + "]" * 200)
    verdict = graded("json_schema", {"schema": schema}, answer)
    assert (verdict.value, verdict.error) == (True, None)


def test_a_check_that_never_ends_leaves_its_answer_ungraded() -> None:
    schema = {"patternProperties": {f"^k{number}_": {} for number in range(3_000)}}
    answer = Answer(json.dumps({f"k{number}_": 1 for number in range(30_000)}))
    verdict = graded("json_schema", {"schema": schema}, answer, timeout=1)
    assert verdict.error is not None
    assert verdict.error.kind == "timeout"
    assert "the schema check failed: it took longer than" in verdict.error.message


def test_the_boundary_of_an_error_is_the_callers(tmp_path: Path) -> None:
    name = grader(tmp_path, "def grade(answer): raise ValueError")

    async def once() -> ToolResult:
        async with WorkerPool() as pool:
            return await pool.call(ToolCall("c", name, "{}"), boundary="grader")

    error = run(once).error
    assert error is not None
    assert error.boundary == "grader"
