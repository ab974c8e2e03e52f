"""Targets of the user's own code, as a suite writes them: what is wrong is said with its place,
before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.suite import Suite, fingerprint_suite

Problems = Callable[..., list[str]]
Write = Callable[..., Path]


def with_target(small: str, target: str) -> str:
    return small.replace("targets: scout-sim\n", f"targets:\n  - {{name: mine, {target}}}\n")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (
            "provider: python, model: answer",
            "`model` of the python target `mine` should name a file and a function",
        ),
        ("provider: python, model: 'no.py:answer'", 'there is no file "no.py"'),
        (
            "provider: python, model: 'app.py:anser'",
            "the file has no function `anser`; did you mean `answer`?",
        ),
        ("provider: python, model: 'bad.py:answer'", "not Python (line 1)"),
        (
            "provider: python, model: '../../app.py:answer'",
            '"../../app.py" is outside the workspace',
        ),
        (
            "provider: command, model: no-such-program",
            "the target `mine` cannot run `no-such-program`: it is not on the PATH",
        ),
        (
            "provider: command, model: ./app.py",
            "the target `mine` cannot run `./app.py`: there is no such program",
        ),
        (
            "provider: command, model: 'sh -c \"'",
            "`model` of the command target `mine` is not a valid command: No closing quotation",
        ),
        (
            "provider: command, model: [sh], base_url: 'http://x'",
            "the target `mine` runs on this machine and cannot have `base_url`",
        ),
        (
            "provider: command, model: [sh], api_key: MY_KEY",
            "the target `mine` runs on this machine and cannot have `api_key`",
        ),
        (
            "provider: command, model: [sh], headers: {x: y}",
            "the target `mine` runs on this machine and cannot have `headers`",
        ),
        (
            "provider: command, model: [sh], limits: {timeout: {idle: 5s}}",
            "only the timeout `total` applies",
        ),
        (
            "provider: openai, model: m, env: [MY_KEY]",
            "the target `mine` has `env:`, which applies only to the providers python",
        ),
    ],
)
def test_what_is_wrong_with_a_target(
    write: Write, problems: Problems, small: str, target: str, why: str
) -> None:
    write("suites/app.py", "async def answer(request):\n    return 'x'\n")
    write("suites/bad.py", "def answer(:\n")
    (found,) = problems(with_target(small, target))
    assert found.startswith("11:5: ") and why in found


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (
            "provider: openai, model: [a, b]",
            "`model`: can be a list only with the provider command",
        ),
        (
            "provider: command, model: [sleep, 3]",
            "`model`: should be the program and its arguments, each as text",
        ),
        (
            "provider: command, model: []",
            "`model`: should be the program and its arguments, each as text",
        ),
        (
            "provider: command, model: sh, env: [sk-12345]",
            "should be the name of an environment variable",
        ),
    ],
)
def test_what_is_wrong_with_a_key(problems: Problems, small: str, target: str, why: str) -> None:
    assert why in problems(with_target(small, target))[0]


def test_a_list_of_words_is_kept_as_one_command(suite: Callable[..., Suite], small: str) -> None:
    (target,) = suite(
        with_target(small, "provider: command, model: [sh, -c, 'echo $HOME; exit 0']")
    ).targets
    assert target.model == "sh -c 'echo $HOME; exit 0'"


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("provider: python, model: 'app.py:answer'", "app.py"),
        ("provider: command, model: [sh, agent.sh]", "agent.sh"),
    ],
)
def test_an_edited_file_is_another_target(
    write: Write, suite: Callable[..., Suite], small: str, target: str, file: str
) -> None:
    def fingerprint(content: str) -> object:
        write(f"suites/{file}", content)
        return fingerprint_suite(suite(with_target(small, target)))["targets"]

    first = "def answer(request): return 'a'\n"
    assert fingerprint(first) == fingerprint(first) != fingerprint(first.replace("'a'", "'b'"))


def test_a_word_that_could_be_no_files_name_is_a_word(
    suite: Callable[..., Suite], small: str
) -> None:
    script = "echo " + "x" * 5000
    assert fingerprint_suite(
        suite(with_target(small, f"provider: command, model: [sh, -c, '{script}']"))
    )["targets"]


@pytest.mark.parametrize(
    "source",
    [
        "async def answer(request): ...",
        "class answer: ...",
        "from elsewhere import answer",
        "from elsewhere import *",
        "from elsewhere import reply as answer",
        "answer = print",
        "answer: object = print",
        "try:\n    import fast\nexcept ImportError:\n    def answer(request): ...",
        "if True:\n    pass\nelse:\n    answer = print",
    ],
)
def test_a_function_is_found_however_it_is_defined(
    write: Write, suite: Callable[..., Suite], small: str, source: str
) -> None:
    write("suites/app.py", source + "\n")
    assert suite(with_target(small, "provider: python, model: 'app.py:answer'")).targets
