"""A simulated user as a suite writes it: what is filled in, what is asked, and what is wrong with
it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.suite import Suite, describe_suite, fingerprint_suite

TALK = """\
suite: s
prompts: [{user: "{{ q }}"}]
cases: [{id: a, vars: {q: x, who: Ann}, expected: y}, {id: b, vars: {q: z, who: Bo}}]
graders: json
targets: scout-sim
simulated_user:
"""
WHOLE = "  target: scout\n  prompt: You are {{ who }}.\n"


def test_the_target_that_plays_is_a_helper(suite: Callable[..., Suite]) -> None:
    loaded = suite(TALK + WHOLE + "  sampling: {seed: {fixed: 3}}\n")
    (asking,) = loaded.roles
    assert (asking.target, asking.sampling) == (
        "scout",
        {"temperature": 0.0, "max_tokens": 256, "seed": 3},
    )
    assert [spec.name for spec in loaded.role_targets] == ["scout"]


def test_it_may_stand_in_an_eval(suite: Callable[..., Suite], write: Callable[..., Path]) -> None:
    write("evals/e/eval.yaml", TALK.partition("\n")[2].replace("targets: scout-sim\n", "") + WHOLE)
    loaded = suite("suite: s\nevals: ../evals/e\ntargets: scout-sim\n")
    assert loaded.evals[0].persona is not None
    assert loaded.evals[0].persona.build_user({"who": "Ann"}).persona == "You are Ann."


@pytest.mark.parametrize(
    "change", ["  max_turns: 5\n", "  stop: BYE\n", "  sampling: {temperature: 1}\n"]
)
def test_whatever_changes_what_it_says_changes_the_plan(
    suite: Callable[..., Suite], change: str
) -> None:
    one, other = suite(TALK + WHOLE), suite(TALK + WHOLE + change)
    assert fingerprint_suite(one)["prompts"] != fingerprint_suite(other)["prompts"]
    assert describe_suite(one)["evals"][0]["simulated_user"]["prompt"] == "You are {{ who }}."


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("  target: scout\n", "7:3: `prompt` is missing"),
        ("  prompt: p\n", "7:3: `target` is missing"),
        ("  target: scuot\n  prompt: p\n", "7:11: there is no target `scuot`"),
        (
            "  target: scout\n  prompt: '{{ expected }}'\n",
            "8:11: a simulated user cannot use `expected`",
        ),
        ("  target: scout\n  prompt: '{{ who'\n", "8:11: in the template"),
        (
            "  target: scout\n  prompt: '{{ age }}'\n",
            "8:11: the simulated user uses `age`, for which none of the 2 cases has a value (first: the case `a`,",
        ),
        ("  target: scout\n  prompt: p\n  max_turns: 0\n", "9:14: `max_turns`"),
        ("  target: scout\n  prompt: p\n  stop: two words\n", "9:9: `stop`"),
        ("  target: scout\n  prompt: p\n  persona: x\n", "9:3: unknown key `persona`"),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    problems: Callable[..., list[str]], lines: str, message: str
) -> None:
    found = problems(TALK + lines)
    assert [problem for problem in found if problem.startswith(message)], found


def test_beside_evals_it_belongs_into_the_eval(
    problems: Callable[..., list[str]], write: Callable[..., Path]
) -> None:
    write("evals/e/eval.yaml", TALK.partition("\n")[2].replace("targets: scout-sim\n", "") + WHOLE)
    found = problems(
        "suite: s\nevals: ../evals/e\ntargets: scout-sim\nsimulated_user: {target: scout, prompt: p}\n"
    )
    assert found == [
        "4:1: `simulated_user:` cannot be combined with `evals:`; move it into the eval"
    ]


def test_plain_text_is_no_conversation(problems: Callable[..., list[str]]) -> None:
    found = problems(TALK.replace('{user: "{{ q }}"}', '{prompt: "{{ q }}"}') + WHOLE)
    assert [problem for problem in found if "a plain text prompt is no conversation" in problem]
