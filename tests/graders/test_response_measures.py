"""length, latency, cost, finish_reason: bounds, and unknown that is not zero."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.graders import Answer, build_graders
from harness.model import Usage
from tests.graders.grading import error_of, grade, spec

ANSWER = Answer(
    "Grüße an alle",
    finish_reason="length",
    usage=Usage(input=9, output=6, reasoning=4),
    latency=1.5,
    cost=0.0004,
)


@pytest.mark.parametrize(
    ("kind", "arguments", "passes"),
    [
        ("length", {"max": 13}, True),
        ("length", {"max": 12}, False),
        ("length", {"min": 13}, True),
        ("length", {"min": 14}, False),
        ("length", {"min": 3, "max": 3, "unit": "words"}, True),
        ("length", {"max": 2, "unit": "words"}, False),
        ("length", {"max": 10, "unit": "tokens"}, True),
        ("length", {"max": 9, "unit": "tokens"}, False),
        ("latency", {"max": "1.5s"}, True),
        ("latency", {"max": "1500ms"}, True),
        ("latency", {"max": "1.4s"}, False),
        ("cost", {"max": "$0.0004"}, True),
        ("cost", {"max": 0.0003}, False),
        ("finish_reason", {"value": "length"}, True),
        ("finish_reason", {"value": ["stop", "length"]}, True),
        ("finish_reason", {}, False),
    ],
)
def test_verdicts(kind: str, arguments: dict[str, Any], passes: bool) -> None:
    graded = grade(kind, arguments, ANSWER)
    assert (graded.value, graded.error) == (passes, None)
    assert bool(graded.reason) is not passes


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("length", {"max": 9, "unit": "tokens"}),
        ("latency", {"max": "1s"}),
        ("cost", {"max": 1}),
        ("finish_reason", {}),
    ],
)
def test_a_measure_nobody_knows_is_ungraded_not_passed(
    kind: str, arguments: dict[str, Any]
) -> None:
    assert error_of(grade(kind, arguments, "hello")).kind == "unknown"


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        ("length", {}, "needs `max` or `min`"),
        ("length", {"min": 3, "max": 2}, "no answer can have at least 3 and at most 2 chars"),
        ("length", {"max": -1}, "max"),
        ("length", {"max": 1, "unit": "lines"}, "unit"),
        ("latency", {"max": 2}, "needs a unit"),
        ("latency", {}, "max"),
        ("cost", {"max": "1 EUR"}, "US dollars"),
        ("finish_reason", {"value": "end"}, "value"),
        ("finish_reason", {"value": []}, "value"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_when_built(
    kind: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        build_graders([spec(kind, arguments)])
