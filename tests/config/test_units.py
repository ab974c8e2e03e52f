"""Quantities: what is read, in which base unit, and what is refused rather than guessed."""

from decimal import Decimal
from typing import Any

import pytest

from harness.config import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("200ms", 0.2),
        ("1.5m", 90),
        ("2min", 120),
        ("1h", 3600),
        ("50us", 5e-5),
        (" 3 s ", 3),
        (0, 0),
        (".5s", 0.5),
    ],
)
def test_a_duration_is_seconds(text: Any, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [60, "60", 1.5, "5 parsecs", "-5s", "s", "", None, True, "1e3s", "NaN", float("nan"), [1]],
)
def test_a_duration_without_a_unit_or_sense_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"unit|should be a duration"):
        units.parse_duration(value)


@pytest.mark.parametrize(
    ("text", "number"),
    [("200k", 200_000), ("1.5M", 1_500_000), (300, 300), ("7", 7), ("2.0k", 2000)],
)
def test_a_count_is_a_whole_number(text: Any, number: int) -> None:
    assert units.parse_count(text) == number


@pytest.mark.parametrize("value", ["0.5", "1.0001k", "3 dozen", -1, "-3", True, None])
def test_a_count_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"should be|unit"):
        units.parse_count(value)


@pytest.mark.parametrize(
    ("text", "dollars"),
    [("$0.50", "0.50"), ("0.27", "0.27"), (0.1, "0.1"), (0, "0"), (1e-07, "1E-7")],
)
def test_money_is_an_exact_decimal(text: Any, dollars: str) -> None:
    assert units.parse_money(text) == Decimal(dollars)


@pytest.mark.parametrize("value", ["50c", "€1", "$-1", -1, "$", float("inf"), None])
def test_money_in_another_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="US dollars"):
        units.parse_money(value)


@pytest.mark.parametrize(
    ("text", "fraction"), [("90%", 0.9), (0.9, 0.9), ("100 %", 1), (0, 0), ("2.5%", 0.025)]
)
def test_a_share_is_a_fraction_of_one(text: Any, fraction: float) -> None:
    assert units.parse_share(text) == pytest.approx(fraction)


def test_a_share_above_one_is_probably_a_percentage() -> None:
    with pytest.raises(ValueError, match="did you mean 90%"):
        units.parse_share(90)
