from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.simulator.model.skills.arithmetic import (
    NotAnExpression,
    evaluate_expression,
    find_expression,
    format_number,
    likely_mistakes,
    normalize_question,
    sum_difficulty,
)


def solved(question: str) -> str | None:
    expression = find_expression(normalize_question(question))
    return None if expression is None else format_number(evaluate_expression(expression))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("17 + 24", "41"),
        ("What is 1,250,000 + 3,749,998?", "4999998"),
        ("12 × (3 + 4) ÷ 2 − 1 =", "41"),
        ("-7 * -3", "21"),
        ("What is 86 times 79?", "6794"),
        ("1 / 8", "0.125"),
        ("2 / 3", "0.6667"),
        ("What is 15% of 80?", "12"),
        ("Take 26 away from 74.", "48"),
        ("Subtract 158 from 611.", "453"),
        ("What percentage of 80 is 28?", "35"),
        ("A cake costs $4 and a bun costs $3. How many dollars do 6 cakes and 2 buns cost?", "30"),
        (
            "Tom has 12 apples. He buys 5 more and then gives 3 away. How many apples does he have?",
            "14",
        ),
        ("60 sweets are shared equally among 4 children. How many sweets does each get?", "15"),
        ("A shelf holds 8 books and there are 6 shelves, each full. What is 8 * 6?", "48"),
    ],
)
def test_expressions_and_word_problems_are_evaluated(question: str, answer: str) -> None:
    assert solved(question) == answer


@pytest.mark.parametrize(
    "text", ["Good morning!", "My order of 2024-03-01 has 3 items.", "I have 2 cats and 3 dogs."]
)
def test_a_text_without_a_calculation_has_no_expression(text: str) -> None:
    assert find_expression(normalize_question(text)) is None


@pytest.mark.parametrize(
    "text", ["1 / 0", "(" * 60 + "1" + ")" * 60, "1 +", "(1 + 2", "1.2.3 + 4)"]
)
def test_an_invalid_expression_raises(text: str) -> None:
    with pytest.raises(NotAnExpression):
        evaluate_expression(text)


numbers = st.integers(-999, 999).map(str) | st.decimals(-99, 99, places=2).map(str)


@given(st.lists(st.tuples(st.sampled_from("+-*/"), numbers), max_size=6), numbers)
def test_precedence_is_pythons(rest: list[tuple[str, str]], first: str) -> None:
    expression = " ".join([f"({first})", *(f"{sign} ({number})" for sign, number in rest)])
    exact = " ".join(
        [f"Fraction('{first}')", *(f"{sign} Fraction('{number}')" for sign, number in rest)]
    )
    try:
        expected = eval(exact, {"Fraction": Fraction})
    except ZeroDivisionError:
        with pytest.raises(NotAnExpression):
            evaluate_expression(expression)
    else:
        assert evaluate_expression(expression) == expected


def test_longer_expressions_and_larger_numbers_are_harder() -> None:
    assert sum_difficulty("2 + 3") == 0
    assert sum_difficulty("2 + 3 * 4") > 0
    assert sum_difficulty("12345 + 3") > sum_difficulty("123 + 3") > 0


def test_ignoring_precedence_is_the_likeliest_mistake() -> None:
    assert likely_mistakes("2 + 3 * 4", Fraction(14))[0] == "20"
