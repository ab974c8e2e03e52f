"""What each grader said over a whole run, what it cost, and how often it contradicted others."""

from __future__ import annotations

from math import fsum
from typing import Any

import numpy as np

from harness.analysis.report_data import GraderUse

_KEYS = ["run", "eval", "name"]


def grader_uses(grades: Any, exchanges: Any) -> tuple[GraderUse, ...]:
    """A row for each grader of each run and eval, in the order of their names."""
    table = grades[_KEYS].assign(**_count_columns(grades))
    costs = _sum_costs(exchanges)
    means = grades.loc[(grades["kind"] == "score").to_numpy(), [*_KEYS, "value"]]
    mean_of = means.groupby(_KEYS, observed=True)["value"].mean().to_dict()
    counts = table.groupby(_KEYS, observed=True).sum().astype(int)
    rows = [
        (*key, *numbers, mean_of.get(key), costs.get(key))
        for key, *numbers in counts.itertuples(name=None)
    ]
    return tuple(GraderUse(*row) for row in rows)


def _count_columns(grades: Any) -> dict[str, Any]:
    """For each grade, which counts of `GraderUse` it is one of, in their order."""
    can_fail = grades["passed"].notna().to_numpy()
    passed = grades["passed"].fillna(False).to_numpy(dtype=bool)
    failed, missing = can_fail & ~passed, (grades["kind"] == "ungraded").to_numpy()
    owners = grades["trial"].to_numpy(dtype=np.int64)
    passes, fails = np.bincount(owners[passed]), np.bincount(owners[failed])
    size = max(len(passes), len(fails), int(owners.max(initial=-1)) + 1)
    passes, fails = (np.pad(each, (0, size - len(each))) for each in (passes, fails))
    return {
        "passed": passed,
        "failed": failed,
        "unparsed": grades["unparsed"].to_numpy(dtype=bool),
        "ungraded": missing,
        "reported": ~can_fail & ~missing,
        "lenient": passed & (fails[owners] > 0),
        "strict": failed & (fails[owners] == 1) & (passes[owners] > 0),
    }


def _sum_costs(exchanges: Any) -> dict[tuple[str, str, str], float]:
    """US dollars newly spent on each grader's questions, where any is known."""
    asked = exchanges[
        (
            exchanges["grader"].notna() & ~exchanges["replayed"] & exchanges["cost"].notna()
        ).to_numpy()
    ]
    groups = asked.groupby(["run", "eval", "grader"], observed=True)["cost"]
    return {key: fsum(values) for key, values in groups}
