"""The number grader: the table of docs/graders.md, and exactness."""

from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.graders import Answer, build_graders
from harness.graders.values.number_grammar import _TAKE_APART, find_numeral
from harness.graders.values.number_reading import (
    MAX_LENGTH,
    NumberReading,
    _closing_number,
    find_first_number,
    find_last_number,
    read_exact_number,
    read_number,
)
from tests.graders.grading import error_of, grade, spec
from tests.graders.number_shapes import SHAPES

READINGS = [
    # whole numbers, and where they stand
    ("42", "42"),
    ("  42\n", "42"),
    ("The answer is 42.", "42"),
    ("6 × 7 = 42", "42"),
    ("**42**", "42"),
    (r"\boxed{42}", "42"),
    ("first 1, then 2", "2"),
    ("'42'", "42"),
    ("42!", "42"),
    ("5kg", "5"),
    ("007", "7"),
    ("a\ud800 7", "7"),
    # signs
    ("-5", "-5"),
    ("−5", "-5"),
    ("–5", "-5"),
    ("+5", "5"),
    ("x=-5", "-5"),
    ("(-5)", "-5"),
    ("3-5", "5"),
    ("3 - 5", "5"),
    ("10–12", "12"),
    ("2025-03-04", "4"),
    # thousands and decimals
    ("1,234,567", "1234567"),
    ("1,234.50", "1234.5"),
    ("1'234'567", "1234567"),
    ("1’234", "1234"),
    ("1_000_000", "1000000"),
    ("1\u202f234\u202f567", "1234567"),
    ("1\u00a0234,", "1234"),
    ("1,2,3", "3"),
    ("1,2345", "2345"),
    ("-1,2", "2"),
    ("1 234", "234"),
    (".5", "0.5"),
    ("-.5", "-0.5"),
    ("3.", "3"),
    # units
    ("25%", "25"),
    ("25 %", "25"),
    ("$1,234.50", "1234.5"),
    ("-$5.20", "-5.2"),
    ("$-5", "-5"),
    ("€ 5", "5"),
    ("US$5", "5"),
    ("5 EUR", "5"),
    ("£1_000", "1000"),
    ("$-5$", "-5"),
    # powers of ten
    ("1e5", "100000"),
    ("1.2E-3", "0.0012"),
    ("1.2e−3", "0.0012"),
    ("1.2 × 10^5", "120000"),
    ("1.2x10⁻⁵", "0.000012"),
    (r"3 \times 10^{4}", "30000"),
    ("2*10**3", "2000"),
    ("10^6", "1000000"),
    ("3 x 10", "10"),
    # no number
    ("", None),
    ("none", None),
    ("H2O", None),
    ("v2", None),
    ("1e99999999999999999999", None),
]


@pytest.mark.parametrize(("text", "number"), READINGS)
def test_the_number_in_a_text(text: str, number: str | None) -> None:
    assert read_number(text) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("arguments", "text", "number"),
    [(arguments, *row) for arguments, rows in SHAPES for row in rows],
)
def test_the_number_that_a_person_reads(
    arguments: dict[str, Any], text: str, number: str | None
) -> None:
    read = read_number(text, NumberReading(**arguments))
    assert read == (None if number is None else Fraction(number))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("3", "3"), (" -5 ", "-5"), ("−5", "-5"), ("#### 72", "72"), ("25 kg", "25")),
        *(("1,234", "1234"), ("$1,234.50", "1234.5"), ("1'234'567", "1234567"), ("25 %", "25")),
        *(("1e5", "100000"), ("1.2 × 10^5", "120000"), ("10^6", "1000000"), ("一共 42", "42")),
        *(("3/4", "3/4"), ("1 1/2", "3/2"), (r"\frac{3}{4}", "3/4"), (r"$\dfrac34$", "3/4")),
        *(("½", "1/2"), ("2½", "5/2"), ("-1/3", "-1/3"), ("1.5 million", "1500000")),
        *(("$2bn", "2000000000"), ("４２", "42"), ("_42_", "42")),
    ],
)
def test_an_expected_number_is_read_as_an_answer_is(text: str, number: str) -> None:
    assert read_exact_number(text) == read_number(text) == Fraction(number)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((each, "has a decimal comma; write 3.5") for each in ("3,5", " 3,5")),
        *(
            (each, "is not exactly one number")
            for each in (
                *("1.234,50", "5 ± 0.1", "25 m^2", r"2\sqrt{3}", "2025-03-04", "3/4/2025", "03/04"),
                *("(1, 2)", "1,23,456", "1,2,3", "1 234", "12:30", "3 - 5", "1.234.567"),
                *("0x1F", "H2O 5", "1e99999999999999999999", "1234_5", "1/0", "1/2/3"),
            )
        ),
        ("1," * 20_000, "is too long for a number"),
        *((each, "there is no number in") for each in ("", "n/a", "forty-two")),
    ],
)
def test_an_expected_number_is_never_guessed(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_exact_number(text)


@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False))
def test_every_number_python_writes_is_read_back(number: int | Decimal) -> None:
    assert read_number(f"It is {number}") == number
    assert read_number(str(number)) == number


@given(st.integers(), st.sampled_from([",", "'", "_", "\u202f"]))
def test_every_grouped_number_is_read_back(number: int, separator: str) -> None:
    assert read_number(f"{number:,}".replace(",", separator)) == number


@given(st.text(alphabet="0123456789.,-−+eE%$€ ×x^10\\{}()'\n", max_size=60))
def test_any_text_is_read_as_a_finite_number_or_none(text: str) -> None:
    for which in ("last", "first", "only", "marked"):
        number = read_number(text, NumberReading(which=which))
        assert number is None or isinstance(number, Fraction) or number.is_finite()


@pytest.mark.parametrize("piece", ["1,", "-", "1", "$ ", "1e", "1.", "10^"])
def test_a_long_answer_is_read_in_linear_time(piece: str) -> None:
    read_number(
        piece * 200_000
    )  # quadratic reading would take minutes, which the time limit of a test ends


@pytest.mark.parametrize(
    ("arguments", "text", "passes"),
    [
        ({"expected": 41}, "41", True),
        ({"expected": 41}, "41.00", True),
        ({"expected": 41}, "42", False),
        ({"expected": 41}, "no idea", False),
        ({"expected": 0.3}, "0.30", True),
        ({"expected": 0.3}, "0.30000000000000004", False),
        ({"expected": "1,234"}, "1234", True),
        ({"expected": "-5"}, "−5", True),
        ({"expected": "#### 72"}, "72 clips", True),
        ({"expected": 12345678901234567890123}, "12345678901234567890123", True),
        ({"expected": 12345678901234567890123}, "12345678901234567890124", False),
        ({"expected": 3.14159, "tolerance": 0.01}, "3.14", True),
        ({"expected": 3.14, "tolerance": 0.01}, "3.15", True),
        ({"expected": 3.14, "tolerance": 0.01}, "3.16", False),
        ({"expected": 200, "relative": 0.01}, "202", True),
        ({"expected": 200, "relative": 0.01}, "203", False),
        ({"expected": -200, "relative": 0.01}, "-198", True),
        ({"expected": 0, "relative": 0.5, "tolerance": 0.1}, "0.1", True),
        ({"expected": 1, "tolerance": 1}, "1e9999999", False),
        ({"expected": 0, "tolerance": 1}, "1e-9999999", True),
        ({"expected": "3/4"}, "0.75", True),
        ({"expected": "3/4"}, "1/4", False),
        ({"expected": 0.75}, r"\frac{3}{4}", True),
        ({"expected": "1/3"}, "2/6", True),
        ({"expected": "1/3"}, "0.3333333333333333333333333333", False),
        ({"expected": "1/3", "tolerance": 0.001}, "0.333", True),
        ({"expected": "1/3", "tolerance": 1}, "4/3", True),
        ({"expected": "1/3", "relative": 0.001}, "0.3", False),
        ({"expected": 3, "tolerance": 0.4}, "10/3", True),
        ({"expected": 0.25, "percent": True}, "25 %", True),
        ({"expected": "25 %", "percent": True}, "0.25", True),
        ({"expected": "3,5", "decimal": ","}, "3,50", True),
        ({"expected": 3.5, "decimal": ","}, "3,5", True),
        ({"expected": 12, "which": "marked"}, "Answer: 12 (see step 3)", True),
    ],
)
def test_verdicts(arguments: dict[str, Any], text: str, passes: bool) -> None:
    graded = grade("number", arguments, text)
    assert (graded.value, graded.error) == (passes, None)


@pytest.mark.parametrize("which", ["last", "only"])
def test_an_answer_without_a_number_is_unparsed(which: str) -> None:
    graded = grade("number", {"expected": 41, "which": which}, "I cannot say")
    assert (graded.value, graded.unparsed) == (False, True)
    assert "number in 'I cannot say'" in graded.reason
    assert grade("number", {"expected": 41}, "42").unparsed is False


def test_what_the_case_expects_is_the_default() -> None:
    assert grade("number", {}, Answer("It is 41.", expected=41)).passed is True
    assert grade("number", {"tolerance": 1}, Answer("It is 41.", expected="42")).passed is True


@pytest.mark.parametrize("expected", ["forty-one", True, float("nan"), float("inf"), [41], None])
def test_what_is_no_number_cannot_be_expected(expected: Any) -> None:
    with pytest.raises(ValueError, match="number"):
        build_graders([spec("number", {"expected": expected})])
    assert (
        error_of(grade("number", {}, Answer("41", expected=expected))).kind == "invalid_arguments"
    )


@given(
    st.lists(
        st.sampled_from(
            [
                "1",
                "23",
                "4,567",
                " ",
                ",",
                "x",
                "-",
                "$",
                "e5",
                "× 10^3",
                "a",
                ".",
                "²",
                "½",
                "/",
                "cm^2",
            ]
        )
    )
)
def test_a_long_answer_is_read_in_pieces_as_in_one(words: list[str]) -> None:
    text = f"{'no digits here; ' * 5}{''.join(words)}{'; nor here' * 20}"
    for item, find in (("last", find_last_number), ("first", find_first_number)):
        found, whole = find(text, NumberReading(), piece=192), find_numeral(text.encode(), item)
        assert (found and found[0].text) == (whole and whole.text)
        assert found is None or found[1] == len(text.encode()[: whole.end].decode())


@given(st.text(alphabet="0123456789.,-−+eE%$€ ×x^10\\frac{}/½²_kmn\n", max_size=40))
def test_a_number_is_taken_apart_as_it_was_found(text: str) -> None:
    numeral = find_numeral(text.encode())
    if numeral is not None:
        taken = _TAKE_APART.match(numeral.text)
        assert taken is not None
        assert taken[0] == numeral.text


@pytest.mark.parametrize(
    ("piece", "reads"),
    [
        ("1 ", "1"),
        ("1,", None),
        ("1", None),
        ("10^", None),
        ("1 x 10^1", "10"),
        ("5\n", "5"),
        ("H2O ", None),
        ("漢5字", None),
        (",", None),
        ("word ", None),
        ("7 apples ", "7"),
        ("x^2 ", None),
        ("字", None),
    ],
)
def test_a_megabyte_takes_milliseconds(piece: str, reads: str | None) -> None:
    text = piece * (2**20 // len(piece)) + "z"
    began = time.process_time()
    found = read_number(text)
    assert time.process_time() - began < 0.5  # an expression over the whole took up to 39 s
    assert found == (None if reads is None else Decimal(reads))


@pytest.mark.parametrize(
    "piece", ["1 ", "1,", "1", "1/", "x^2 ", "**1", "Answer: ", "#### ", "(1 = "]
)
@pytest.mark.parametrize("which", ["first", "only", "marked"])
def test_every_way_to_a_number_takes_linear_time(piece: str, which: Any) -> None:
    began = time.process_time()
    read_number(piece * (2**19 // len(piece)) + "z", NumberReading(which=which))
    assert time.process_time() - began < 2


def test_a_number_too_long_to_read_is_none() -> None:
    digits = "9" * MAX_LENGTH
    assert read_number(f"= {digits}") == Decimal(digits)
    assert read_number(f"= {digits * 2}") is None
    assert read_number(f"{digits * 3}, or so") is None
    assert read_number(f"{'1,' * 2_000}77, or so") == 77


@given(st.text(alphabet="0123456789.,-+eExX:=$€%^*_a½² \n\u00a0\u202f", max_size=24))
def test_the_quick_way_to_a_closing_number_reads_what_the_grammar_reads(text: str) -> None:
    quick = _closing_number(text)
    # A word behind the number that holds none sends the same text the long way.
    assert quick is None or quick == read_number(f"{text.rstrip().removesuffix('.')} ,")
