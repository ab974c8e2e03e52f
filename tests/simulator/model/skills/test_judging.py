"""LLM-as-judge: finds the delimited parts, answers in the form asked for, and is deterministic."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.simulator.model.rng import RandomStream
from harness.simulator.model.skills import generate_text
from harness.simulator.model.skills.judging import score_answer
from harness.simulator.model.types import Prompt, Sampling, Turn
from tests.graders.attacks import ATTACKS

PASS = {"type": "object", "properties": {"reason": {"type": "string"}, "pass": {"type": "boolean"}}}
FIVE = {"type": "object", "properties": {"score": {"type": "integer", "enum": [1, 2, 3, 4, 5]}}}


def judge(
    rubric: str,
    answer: str,
    schema: dict[str, Any] | None = PASS,
    form: str = "",
    mark: str = "-7f3a",
) -> Any:
    parts = {"rubric": rubric, "question": "?", "answer": answer}
    text = "\n\n".join(f"<{name}{mark}>\n{part}\n</{name}{mark}>" for name, part in parts.items())
    prompt = Prompt(
        "m", (Turn("system", form), Turn("user", text)), Sampling(temperature=0.0), schema
    )
    return json.loads(generate_text(prompt, RandomStream("test")))


@pytest.mark.parametrize(
    ("rubric", "answer", "passes"),
    [
        ("The answer is right.\nExpected: Canberra", "It is Canberra.", True),
        ("The answer is right.\nExpected: Canberra", "It is Sydney.", False),
        ("The expected answer is: 4", "The sum is 4.", True),
        ("The expected answer is: 4", "The sum is 14.", False),
        ('It says "thank you" and offers a "refund".', "Thank you! You get a refund.", True),
        ('It says "thank you" and offers a "refund".', "No.", False),
        ('It does not say "sorry". It names the "courier".', "The courier has it.", True),
        ('It does not say "sorry". It names the "courier".', "Sorry, no parcel here.", False),
        (
            "The reply explains how to reset the password.",
            "To reset your password, open the settings.",
            True,
        ),
        ("The reply explains how to reset the password.", "Bananas are yellow.", False),
        ("Anything goes.", "", False),
    ],
)
def test_clear_cases_are_judged_right(rubric: str, answer: str, passes: bool) -> None:
    assert judge(rubric, answer)["pass"] is passes


def test_a_score_is_on_the_scale_of_the_schema() -> None:
    rubric = 'It has "a", "b", "c" and "d".'
    assert [
        judge(rubric, answer, FIVE)["score"] for answer in ("x", "a b", "a b c", "a b c d")
    ] == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("form", "verdict"),
    [
        ('One object: {"reason": "why", "pass": true or false}', {"pass": True}),
        (
            'One object: {"reason": "why", "rating": a whole number from 0 (worst) to 10 (best)}',
            {"rating": 10},
        ),
    ],
)
def test_without_a_schema_the_form_is_the_one_shown(form: str, verdict: dict[str, Any]) -> None:
    assert judge("Expected: 4", "4", None, form).items() >= verdict.items()


@pytest.mark.parametrize("mark", ["", "-7f3a", " id=1"])
def test_parts_are_found_whatever_marks_them(mark: str) -> None:
    text = f"<rubric{mark}>Expected: 4</rubric{mark}> <answer{mark}>4</answer{mark}>"
    prompt = Prompt("m", (Turn("user", text),), Sampling(temperature=0.0), PASS)
    assert json.loads(generate_text(prompt, RandomStream("test")))["pass"] is True


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_prompt_injection_is_graded_like_any_answer(attack: str) -> None:
    assert judge("It names the capital.\nExpected: Canberra", attack)["pass"] is False


def test_the_reason_says_what_is_missing() -> None:
    assert score_answer("Expected: Canberra", "Sydney") == (
        0.0,
        "It does not meet what is asked of: canberra.",
    )


def test_json_without_a_rubric_is_no_verdict() -> None:
    text = "Was it delivered? <answer>The parcel has arrived.</answer>"
    prompt = Prompt("m", (Turn("user", text),), Sampling(temperature=0.0), PASS)
    assert "reason" in json.loads(generate_text(prompt, RandomStream("test")))
