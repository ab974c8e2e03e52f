"""Score and pass: design's rules as a table, and what must hold for any grades."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.engine.grading import score_grades
from harness.model import Error, Grade

FAILED = Error("grader", "raised", "it broke")


def g(
    value: bool | float | str | None, weight: float = 1.0, threshold: float | None = None
) -> Grade:
    return Grade(
        "g", value, weight=weight, threshold=threshold, error=FAILED if value is None else None
    )


@pytest.mark.parametrize(
    ("grades", "threshold", "score", "passed"),
    [
        ([], None, None, None),
        ([g(True)], None, 1.0, True),
        ([g(False)], None, 0.0, False),
        ([g(True), g(False)], None, 0.5, False),
        ([g(True, weight=3), g(False)], None, 0.75, False),
        # a number can fail only with a threshold
        ([g(0.2)], None, 0.2, None),
        ([g(0.2, threshold=0.5)], None, 0.2, False),
        ([g(0.5, threshold=0.5)], None, 0.5, True),
        ([g(True), g(0.0)], None, 0.5, True),
        # weight 0 only reports
        ([g(True), g(False, weight=0)], None, 1.0, True),
        ([g(False, weight=0)], None, None, None),
        ([g(True), g(None, weight=0)], None, 1.0, True),
        # labels neither score nor fail
        ([g("polite")], None, None, None),
        ([g("polite"), g(True)], None, 1.0, True),
        # a null grade leaves the trial ungraded, whatever the others say
        ([g(None)], None, None, None),
        ([g(True), g(None)], None, None, None),
        ([g(False), g(None)], None, None, None),
        ([g(True), g(None)], 0.1, None, None),
        # the case's own threshold decides alone
        ([g(True), g(False)], 0.5, 0.5, True),
        ([g(True), g(False)], 0.51, 0.5, False),
        ([g(0.9)], 0.8, 0.9, True),
        ([g("polite")], 0.5, None, None),
        ([g(0.2, threshold=0.9), g(1.0)], 0.6, 0.6, True),
        # rounding does not fail what met the threshold
        ([g(0.7), g(0.7), g(0.7)], 0.7, 0.7, True),
    ],
)
def test_table(
    grades: list[Grade], threshold: float | None, score: float | None, passed: bool | None
) -> None:
    assert score_grades(grades, threshold) == (score, passed)


values = st.booleans() | st.floats(0, 1) | st.sampled_from(["a", "b"]) | st.none()
weights = st.just(0.0) | st.floats(0.01, 100)
grades_of_any_kind = st.lists(
    st.builds(g, values, weights, st.none() | st.floats(0, 1)), max_size=8
)
thresholds = st.none() | st.floats(0, 1)


@given(grades_of_any_kind, thresholds)
def test_the_score_is_the_exact_weighted_mean_as_far_as_floats_go(
    grades: list[Grade], threshold: float | None
) -> None:
    score, _ = score_grades(grades, threshold)
    counted = [grade for grade in grades if grade.weight > 0 and not isinstance(grade.value, str)]
    assume(counted and all(grade.value is not None for grade in counted))
    total = sum(Fraction(grade.weight) for grade in counted)
    exact = sum(Fraction(grade.value) * Fraction(grade.weight) for grade in counted) / total  # type: ignore[arg-type]
    assert score == pytest.approx(float(exact), rel=1e-12, abs=1e-300)
    assert (
        min(float(grade.value) for grade in counted)
        <= score
        <= max(float(grade.value) for grade in counted)
    )  # type: ignore[arg-type]


@given(grades_of_any_kind, thresholds, st.permutations(range(8)))
def test_the_order_of_grades_means_nothing(
    grades: list[Grade], threshold: float | None, order: list[int]
) -> None:
    shuffled = [grades[index] for index in order if index < len(grades)]
    assert score_grades(shuffled, threshold) == score_grades(grades, threshold)


@given(grades_of_any_kind, thresholds, values)
def test_a_grade_of_weight_0_changes_nothing(
    grades: list[Grade], threshold: float | None, value: bool | float | str | None
) -> None:
    assert score_grades([*grades, g(value, weight=0)], threshold) == score_grades(grades, threshold)


@given(grades_of_any_kind, thresholds)
def test_one_null_grade_takes_score_and_pass(grades: list[Grade], threshold: float | None) -> None:
    assert score_grades([*grades, g(None)], threshold) == (None, None)


@given(grades_of_any_kind)
def test_one_failed_grade_fails_the_trial_or_it_is_ungraded(grades: list[Grade]) -> None:
    assert score_grades([*grades, g(False)])[1] in (False, None)
