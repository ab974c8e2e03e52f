"""The model as a whole: what changes its accuracy."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.simulator.model.rng import RandomStream
from harness.simulator.model.skills import generate_text
from harness.simulator.model.skills.difficulty import model_strength
from harness.simulator.model.types import Prompt, Sampling, Turn
from tests.properties import scale_examples

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
SUMS = [(left, right) for left in range(11, 99, 4) for right in range(12, 99, 5)]


def said(text: str, temperature: float = 0, model: str = SCOUT, key: object = 0) -> str:
    return generate_text(
        Prompt(model, (Turn("user", text),), Sampling(temperature)), RandomStream(key)
    )


def accuracy(template: str, temperature: float = 0, model: str = SCOUT) -> float:
    """The share of sums whose last number is right."""
    right = 0
    for left, other in SUMS:
        answer = said(
            template.format(sum=f"{left} * {other}"), temperature, model, key=(left, other)
        )
        right += re.findall(r"\d+", answer)[-1] == str(left * other)
    return right / len(SUMS)


def test_accuracy_falls_with_temperature_and_is_not_perfect_at_zero() -> None:
    curve = [accuracy("What is {sum}?", temperature) for temperature in (0, 0.5, 1, 2, 5)]
    assert curve == sorted(curve, reverse=True)
    assert 0.7 < curve[0] < 0.95
    assert curve[-1] < 0.4


def test_a_helpful_prompt_raises_accuracy() -> None:
    bare = accuracy("What is {sum}?", 0.7)
    form = accuracy("What is {sum}? Answer with the number only.", 0.7)
    worked = accuracy(
        "An example: 2 * 3 = 6. Work it out before you answer with the number only. What is {sum}?",
        0.7,
    )
    assert bare + 0.03 < form < worked


def test_larger_models_are_more_accurate() -> None:
    assert (
        model_strength("llama-3.2-1b")
        < model_strength("llama-3.1-8b")
        < model_strength(SCOUT)
        == 0
        < model_strength("llama-3.3-70b")
    )
    assert accuracy("What is {sum}?", 0.5, "@cf/x/y-1b") < accuracy(
        "What is {sum}?", 0.5, "@cf/x/y-70b"
    )


def test_the_bare_answer_comes_only_on_request() -> None:
    assert said("What is 2 + 2? Answer with the number only.") == "4"
    assert said("What is 2 + 2?") == "The answer is 4."
    assert said("What is 2 + 2? Think step by step and end with 'Answer: <number>'.").endswith(
        "\n\nAnswer: 4"
    )


@pytest.mark.parametrize(
    ("asked", "least", "most"), [("in 200 words", 200, 240), ("", 45, 85), ("at length", 400, 440)]
)
def test_prose_has_the_length_that_was_asked_for(asked: str, least: int, most: int) -> None:
    text = said(f"Tell me something {asked}.", temperature=1)
    assert least <= len(text.split()) <= most
    assert text.endswith(".")


def test_prose_follows_the_corpus_at_any_temperature() -> None:
    assert said("Hello", 5, key=1) != said("Hello", 5, key=2)
    assert said("Hello", 0, key=1) == said("Hello", 0, key=2)


@given(
    system=st.text(max_size=200),
    user=st.text(max_size=400),
    temperature=st.sampled_from([0, 0.15, 5]),
)
@settings(max_examples=scale_examples(200))
def test_any_prompt_has_an_answer(system: str, user: str, temperature: float) -> None:
    prompt = Prompt("m", (Turn("system", system), Turn("user", user)), Sampling(temperature))
    assert generate_text(prompt, RandomStream(0))


@given(
    st.lists(
        st.sampled_from(
            [
                "(",
                ")",
                "1",
                "2.5",
                "%",
                "+",
                "-",
                "*",
                "/",
                " ",
                "=",
                "what is",
                "of",
                ",",
                "-",
                "a: b\n- c: d\n",
                "one of:",
            ]
        ),
        max_size=30,
    )
)
@settings(max_examples=scale_examples(300))
def test_any_mess_of_signs_has_an_answer(signs: list[str]) -> None:
    assert said("".join(signs))


def test_a_very_long_prompt_is_answered() -> None:
    assert said("one of: a, b, c / " * 20_000)
    assert said("What is " + "1 + " * 20_000 + "1?")
