"""Rows of a user's function: run once in a child process that can be killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.suite import Suite
from harness.suite.tables import TableError
from harness.suite.tables.function_rows import run_row_function

CODE = """
import os, sys, time
from neighbour import COUNT

def generate():
    print("not a row")
    for n in range(COUNT):
        yield {"question": f"{n} + {n}", "expected": 2 * n, "home": os.environ.get("SECRET_KEY", "none")}

def listed(): return [{"id": "a", "vars": {"question": "1"}, "expected": 1, "tags": ["x"]}]
def fails():
    yield {"question": 1}
    raise LookupError("no more")
def exits(): sys.exit(3)
def dies(): os._exit(4)
def hangs():
    yield {"question": 1}
    time.sleep(1000)
def number(): return 3
def odd(): yield {"question": object()}
def infinite(): yield {"question": float("nan")}
def greedy(): yield {"question": "x" * (3 << 30)}
def endless():
    while True: yield {"question": "x" * 17_000_000}
"""
SUITE = """\
suite: s
prompts: [{{user: "{{{{ question }}}}"}}]
cases: {{python: "cases.py:{function}"}}
graders: [{{equals: "{{{{ expected }}}}"}}]
targets: scout-sim
"""


@pytest.fixture
def code(write: Callable[..., Path]) -> Path:
    write("suites/neighbour.py", "COUNT = 3\n")
    return write("suites/cases.py", CODE)


@pytest.mark.process
def test_a_function_yields_flat_rows_or_rows_of_our_own_form(
    suite: Callable[..., Suite], code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "abc12345")
    cases = suite(SUITE.format(function="generate")).evals[0].cases
    assert [(case.vars["question"], case.expected) for case in cases] == [("0 + 0", 0), ("1 + 1", 2), ("2 + 2", 4)]  # fmt: skip
    assert {case.vars["home"] for case in cases} == {"none"}
    assert cases[2].row == "cases.py:generate:3"
    (listed,) = suite(SUITE.format(function="listed")).evals[0].cases
    assert (listed.id, listed.tags, listed.folder) == ("a", ("x",), code.parent)


@pytest.mark.process
@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("fails", r"the function failed: LookupError: no more \(cases.py:13\)"),
        ("exits", "the function failed: SystemExit: 3"),
        ("dies", "exited with status 4 before it was done"),
        ("number", "the function failed: TypeError: 'int' object is not iterable"),
        ("odd", "the function failed: TypeError: Object of type object is not JSON serializable"),
        ("infinite", "the function failed: ValueError: Out of range float values"),
        ("greedy", "the function failed: MemoryError|ended with status"),
        ("endless", "longer than 16 MiB"),
    ],
)
def test_a_function_that_fails_says_how(code: Path, function: str, said: str) -> None:
    with pytest.raises(TableError, match=said):
        run_row_function(code, function, f"cases.py:{function}")


@pytest.mark.process
def test_a_function_that_hangs_is_ended(code: Path) -> None:
    started = time.monotonic()
    with pytest.raises(TableError, match="took longer than 1 s and was stopped"):
        run_row_function(code, "hangs", "cases.py:hangs", seconds=1)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("cases.py", "name a Python file and a function in it, such as cases.py:generate"),
        ("cases.py:generat", "the file has no function `generat`; did you mean `generate`?"),
        ("gone.py:f", "there is no file"),
    ],
)
def test_a_reference_that_names_no_function_is_refused(
    problems: Callable[..., list[str]], code: Path, reference: str, said: str
) -> None:
    text = SUITE.format(function="x").replace("cases.py:x", reference)
    assert any(said in problem for problem in problems(text))
