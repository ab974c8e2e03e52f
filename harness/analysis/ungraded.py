"""Which parts of a run have more ungraded answers than it tolerates: a configuration or a grader
whose answers hardly count would hide among the others in the share of the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.analysis.frame import Frames
from harness.analysis.row_schema import configuration_label

FEWEST = 3
"""Ungraded answers that it takes at least: one of three is no pattern."""

_KEYS = ["eval", "prompt", "target", "setting"]


def ungraded_parts(frames: Frames, run: str, tolerated: float) -> tuple[str, ...]:
    """The configurations of a run, then its graders of weight, in which at least `FEWEST` answers
    and more than the share `tolerated` could not be graded, each with its counts, worst first."""
    trials, grades = frames.trials, frames.grades
    asked = ((trials["run"] == run) & (trials["outcome"] != "error")).to_numpy()
    if not (trials["outcome"].to_numpy()[asked] == "ungraded").any():
        return ()
    graded = asked & np.isin(np.arange(len(trials)), grades["trial"].to_numpy(dtype=np.int64))
    answers = trials.loc[graded, _KEYS].assign(
        missing=(trials["outcome"] == "ungraded").to_numpy()[graded]
    )
    counts = ((grades["run"] == run) & (grades["weight"] > 0)).to_numpy()
    given = grades.loc[counts, ["eval", "name"]].assign(
        missing=(grades["kind"] == "ungraded").to_numpy()[counts]
    )
    several = answers["eval"].nunique() > 1
    configurations = (
        ((f"{name}: " if several else "") + _label(frames, *rest), missing, of)
        for (name, *rest), missing, of in _count_missing(answers, tolerated)
    )
    graders = (
        (f"grader {name}" + (f" of {eval_name}" if several else ""), missing, of)
        for (eval_name, name), missing, of in _count_missing(given, tolerated)
    )
    return tuple(
        f"{name} ({missing:,} of {of:,})"
        for found in (configurations, graders)
        for name, missing, of in found
    )


def _count_missing(rows: Any, tolerated: float) -> Iterator[tuple[list[str], int, int]]:
    """Yields (key, ungraded, all) of each group of `rows` that is over the tolerance."""
    keys = [name for name in rows.columns if name != "missing"]
    counts = rows.groupby(keys, observed=True)["missing"].agg(["sum", "size"])
    share = counts["sum"] / counts["size"]
    over = counts[(share > tolerated) & (counts["sum"] >= FEWEST)]
    order = np.argsort(-share[over.index].to_numpy(), kind="stable")
    for place in order:
        missing, of = over.iloc[place]
        yield over.index[place], int(missing), int(of)


def _label(frames: Frames, prompt: str, target: str, setting: str) -> str:
    return configuration_label(prompt, target, frames.settings[setting])
