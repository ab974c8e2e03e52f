"""How many files and functions a trial enters."""

from __future__ import annotations

from tests.checks.trial_walk import walk_trials


def test_a_warm_trial_enters_few_files_and_functions() -> None:
    _, warm = walk_trials()
    assert warm.files <= 30, warm
    assert warm.count <= 150, warm
