"""From a trial's grades to its score and its pass: three-valued, so that what could not be graded is never a zero.

The score is the weighted mean of the bools (1 or 0) and the numbers; labels and grades of weight 0 only report. A null grade
of weight > 0 leaves the trial ungraded: neither score nor pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from harness.model import Grade


def score_grades(grades: Sequence[Grade], threshold: float | None = None) -> tuple[float | None, bool | None]:
    """(score in 0..1, passed), each None where there is none; `threshold` is the case's own, on the score."""
    deciding = [grade for grade in grades if grade.weight > 0]
    for grade in deciding:
        if grade.value is None:
            return None, None
    score = _weighted_mean(deciding)
    if threshold is not None:
        return score, None if score is None else score >= threshold
    outcomes = [passed for grade in deciding if (passed := grade.passed) is not None]
    return score, all(outcomes) if outcomes else None


def _weighted_mean(grades: Sequence[Grade]) -> float | None:
    scored = [(float(grade.value), grade.weight) for grade in grades if isinstance(grade.value, (float, int))]
    if len(scored) < 2:
        return scored[0][0] if scored else None
    values = [value for value, _ in scored]
    mean = fsum([value * weight for value, weight in scored]) / fsum([weight for _, weight in scored])
    # Rounding must not put the mean of three 0.7 at 0.6999999999999998, below a threshold that each of them meets.
    return min(max(mean, min(values)), max(values))
