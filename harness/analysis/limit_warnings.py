"""Warnings of answers that the output limit ended: cut off, or empty because thinking used it
up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.analysis.frame import Frames
from harness.analysis.row_schema import configuration_label
from harness.wording import pluralize

MANY = 0.1
"""The share of a configuration's answers from which on it is worth a warning."""
NAMED = 3
"""How many configurations a warning names."""

_KEYS = ["run", "eval", "prompt", "target", "setting"]
_REMEDIES = {
    "cut": (
        "Cut off by max_tokens",
        "Only the beginning of these answers was graded; raise `max_tokens`.",
    ),
    "empty": (
        "Empty, because thinking used up max_tokens",
        "Raise `max_tokens`, or lower `reasoning_effort`.",
    ),
}


def limit_warnings(frames: Frames) -> Iterator[str]:
    """A sentence for what was cut off, and one for what is empty, in the configurations where that
    is much, the most affected first."""
    trials = frames.trials
    ended = (trials["finish_reason"] == "length").to_numpy()
    if not ended.any():
        return
    blank = (trials["answer_characters"].fillna(0) == 0).to_numpy()
    counts = (
        trials[_KEYS]
        .assign(
            answers=(trials["outcome"] != "error").to_numpy(),
            cut=ended & ~blank,
            empty=ended & blank,
        )
        .groupby(_KEYS, observed=True, sort=False)
        .sum()
    )
    for column, (what, remedy) in _REMEDIES.items():
        much = counts[(counts[column] >= MANY * counts["answers"]) & (counts[column] > 0)]
        if len(much):
            worst = much.assign(share=much[column] / much["answers"]).sort_values(
                "share", ascending=False, kind="stable"
            )
            yield f"{what}: {_name_configurations(worst, column, frames)}. {remedy}"


def _name_configurations(worst: Any, column: str, frames: Frames) -> str:
    named = [
        f"{configuration_label(prompt, target, frames.settings[setting])}"
        f" ({count:,} of {pluralize(int(answers), 'answer')})"
        for (_, _, prompt, target, setting), count, answers in zip(
            worst.index[:NAMED], worst[column], worst["answers"], strict=False
        )
    ]
    more = len(worst) - len(named)
    return ", ".join(named) + (f", and {more:,} more" if more else "")
