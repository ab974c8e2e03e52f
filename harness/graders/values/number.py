"""The number grader: the number that an answer gives against the expected one, exactly or within a
tolerance."""

from __future__ import annotations

from decimal import Decimal, DecimalException
from fractions import Fraction
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from harness.config.diagnostics import quote_text
from harness.graders.base import EXPECTED, Answer, GraderType, Verdict, to_text
from harness.graders.values.number_grammar import NumberValue
from harness.graders.values.number_reading import NumberReading, read_exact_number, read_number

_MAX_EXPONENT = 10_000
"""The power of ten from which a decimal is not made a fraction, which would write it out."""


class Number(NumberReading):
    """Arguments of `number`; the larger of the two tolerances counts."""

    expected: Decimal | Fraction = Field(
        EXPECTED, description="The expected number; text must hold exactly one."
    )
    tolerance: Decimal = Field(Decimal(0), ge=0, description="The absolute tolerance.")
    relative: Decimal = Field(
        Decimal(0),
        ge=0,
        description="The relative tolerance, as a share of the expected number: 0.01 is 1 %.",
    )

    @field_validator("expected", mode="plain", json_schema_input_type=float | str)
    @classmethod
    def _parse_expected(cls, value: Any, info: ValidationInfo) -> NumberValue:
        """What a suite or a case gives as a number: a number, or a text that holds exactly one."""
        if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal, Fraction)):
            raise ValueError("must be a number, or text that contains one")  # noqa: TRY004 - pydantic's contract
        if isinstance(value, str):
            reading = {key: info.data[key] for key in ("percent", "decimal") if key in info.data}
            return read_exact_number(value, NumberReading(**reading))
        number = value if isinstance(value, Fraction) else Decimal(str(value))
        if isinstance(number, Decimal) and not number.is_finite():
            raise ValueError(f"there is no number in {quote_text(to_text(value), 40)}")
        return number


def _grade_number(arguments: Number, answer: Answer) -> Verdict:
    found = read_number(answer.text, arguments)
    if found is None:
        kind = "single number" if arguments.which == "only" else "number"
        return Verdict(False, f"no {kind} in {quote_text(answer.text)}", unparsed=True)
    passed = found == arguments.expected or _is_near(found, arguments)
    return Verdict(
        passed,
        (
            ""
            if passed
            else (
                f"expected {arguments.expected}, read {quote_text(str(found))} in"
                f" {quote_text(answer.text)}"
            )
        ),
    )


def _is_near(found: NumberValue, arguments: Number) -> bool:
    if not arguments.tolerance and not arguments.relative:
        return False
    try:
        expected = _to_fraction(arguments.expected)
        distance = abs(_to_fraction(found) - expected)
    except DecimalException:  # 1e9999999: too large to subtract, so not near
        return False
    allowed = max(Fraction(arguments.tolerance), Fraction(arguments.relative) * abs(expected))
    return distance <= allowed


def _to_fraction(number: NumberValue) -> Fraction:
    """The number as a fraction, one too small to be written out as 0. Raises DecimalException where
    it is too large."""
    if isinstance(number, Decimal) and number and abs(number.adjusted()) > _MAX_EXPONENT:
        if number.adjusted() > 0:
            raise DecimalException
        return Fraction(0)
    return Fraction(number)


number_grader = GraderType(
    "number", Number, _grade_number, short="expected", summary="has this number as its last one"
)
