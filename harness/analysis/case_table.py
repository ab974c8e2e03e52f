"""The case × configuration table: every cell counted, and of the worst cases the answers
themselves, side by side.

A report is read by a person: it shows at most a few hundred cases, failing first, and of each cell
a few answers, each cut. Everything else is in the frames and in the run folder.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import formatting
from harness.analysis.frame import Frames
from harness.analysis.report_data import CaseAnswer, CaseRow, Cell, GradeLine, RenderedPrompt
from harness.analysis.row_schema import plain_text
from harness.wording import pluralize

CASE_LIMIT = 200
"""Cases shown at most."""
ANSWER_LIMIT = 2_000
"""Answers shown at most, over all cases: with `PREVIEW_LIMIT` it bounds the size of a report."""
ANSWERS_PER_CELL = 2
PREVIEW_LIMIT = 1_200
PROMPTS_PER_CASE = 4
"""Rendered prompts shown of a case at most."""
REASON_LIMIT = 300

OUTCOMES = {
    "passed": "pass",
    "failed": "fail",
    "no_verdict": "no verdict",
    "ungraded": "ungraded",
    "errors": "error",
}
"""Column of a count -> the outcome it counts."""

_TRIAL_COLUMNS = [
    *(
        "eval",
        "case",
        "tags",
        "row",
        "prompt",
        "vars",
        "input",
        "expected",
        "repeat",
        "outcome",
        "answer",
        "answer_characters",
        "steps",
        "score",
    ),
    *("error_kind", "error_message", "finish_reason", "latency", "cost"),
]

SEVERITY = {"fail": 0, "error": 1, "ungraded": 2, "no verdict": 3, "pass": 4}
"""Outcomes, those most worth reading first."""


def build_cells(trials: Any, configurations: Any) -> tuple[Any, Any]:
    """One row per case and configuration, and the number of that row for each trial.

    Columns: `number` (the configuration's, which `configurations` gives for each trial), the names,
    `n`, the counts of `OUTCOMES`, `worst` (the row of its worst trial) and `rank` (its case's
    place, the case with most to look at first).
    """
    ids = trials.groupby([configurations, "case"], observed=True, sort=False).ngroup().to_numpy()
    count = int(ids.max()) + 1 if len(ids) else 0
    order = np.lexsort((*_worst_first(trials), ids))
    worst = order[np.searchsorted(ids[order], np.arange(count))]
    frame = trials.iloc[worst][["run", "eval", "case", "configuration"]].reset_index(drop=True)
    frame.insert(0, "number", configurations[worst])
    frame["n"] = np.bincount(ids, minlength=count)
    for column, outcome in OUTCOMES.items():
        frame[column] = np.bincount(ids[(trials["outcome"] == outcome).to_numpy()], minlength=count)
    frame["worst"], frame["rank"] = worst, _rank_cases(frame)
    reading = frame.sort_values(["number", "case"], key=_as_sortable).index.to_numpy()
    places = np.empty(count, dtype=np.int64)
    places[reading] = np.arange(count)
    return frame.iloc[reading].reset_index(drop=True), places[ids]


def build_case_rows(frames: Frames, table: Any, places: Any) -> tuple[tuple[CaseRow, ...], int]:
    """The worst cases with their answers, and how many cases there are; `table` and `places` are
    from `build_cells`."""
    chosen = _select_shown_trials(frames.trials, table, places)
    grades = _grade_lines_by_trial(frames.grades, chosen.index.to_numpy())
    answers: dict[int, list[CaseAnswer]] = defaultdict(list)
    for trial in chosen.itertuples():
        answers[trial.place].append(_build_answer(trial, grades[trial.Index]))
    asked: dict[int, list[Any]] = defaultdict(list)
    for trial in chosen.drop_duplicates(["rank", "prompt"]).itertuples():
        asked[trial.rank].append(trial)
    found: dict[int, list[Cell]] = defaultdict(list)
    for row in table[table["rank"].isin(asked)].itertuples():
        found[row.rank].append(_build_cell(row, answers[row.Index]))
    rows = [
        _build_case_row(asked[rank], frames.tags, found[rank][:ANSWER_LIMIT])
        for rank in sorted(asked)
    ]
    return tuple(rows), int(table["rank"].max()) + 1 if len(table) else 0


def _worst_first(trials: Any) -> tuple[Any, Any]:
    """Keys for `lexsort` that put the trials most worth reading first."""
    badness = trials["outcome"].astype(object).map(SEVERITY).to_numpy(dtype=np.int64)
    return trials["repeat"].to_numpy(dtype=np.int64), badness


def _rank_cases(frame: Any) -> Any:
    """For each cell its case's place by share of bad trials, then by name."""
    names = frame.astype({"eval": object, "case": object})
    groups = names.groupby(["eval", "case"], sort=True).ngroup().to_numpy()
    wrong = names["failed"] + names["errors"] + names["ungraded"]
    bad = np.bincount(groups, weights=wrong) / np.bincount(groups, weights=names["n"])
    ranks = np.empty(len(bad), dtype=np.int64)
    ranks[np.argsort(-bad, kind="stable")] = np.arange(len(bad))
    return ranks[groups]


def _select_shown_trials(trials: Any, table: Any, places: Any) -> Any:
    """The trials whose answers are shown, by case and cell, with their `place` in the table and
    their case's `rank`."""
    ranks = table["rank"].to_numpy()[places]
    candidates = np.flatnonzero(ranks < CASE_LIMIT)
    some = trials[["repeat", "outcome"]].iloc[candidates]
    ordered = candidates[np.lexsort((*_worst_first(some), places[candidates], ranks[candidates]))]
    cell = places[ordered]
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    within = np.arange(len(ordered)) - np.repeat(first, np.diff(np.append(first, len(ordered))))
    ordered = ordered[within < ANSWERS_PER_CELL]
    last_rank = ranks[ordered[ANSWER_LIMIT]] if len(ordered) > ANSWER_LIMIT else CASE_LIMIT
    ordered = ordered[ranks[ordered] < max(1, last_rank)][:ANSWER_LIMIT]
    return trials[_TRIAL_COLUMNS].iloc[ordered].assign(place=places[ordered], rank=ranks[ordered])


def _grade_lines_by_trial(grades: Any, trials: Any) -> dict[int, list[GradeLine]]:
    """The grades of some trials, by the trial's row."""
    owners = grades["trial"].to_numpy(dtype=np.int64)
    mine = np.flatnonzero(np.isin(owners, trials))
    found: dict[int, list[GradeLine]] = defaultdict(list)
    for owner, row in zip(owners[mine], grades.iloc[mine].itertuples(), strict=True):
        found[int(owner)].append(_build_grade_line(row))
    return found


def _build_cell(row: Any, answers: list[CaseAnswer]) -> Cell:
    return Cell(
        int(row.number),
        int(row.n),
        int(row.passed),
        int(row.failed),
        int(row.errors),
        tuple(answers),
        int(row.ungraded),
    )


def _build_case_row(
    asked: list[Any], tags: Mapping[str, Sequence[str]], found: list[Cell]
) -> CaseRow:
    """A case from the worst trial of each prompt, worst first, and its cells."""
    head = asked[0]
    return CaseRow(
        eval=head.eval,
        case=head.case,
        tags=tuple(tags[head.tags]),
        expected=None if pd.isna(head.expected) else _truncate_text(head.expected, REASON_LIMIT),
        cells=tuple(found),
        row="" if pd.isna(head.row) else head.row,
        input=_truncate_text(describe_input(head.vars, head.input), PREVIEW_LIMIT),
        prompts=tuple(
            RenderedPrompt(each.prompt, _truncate_text(each.input, PREVIEW_LIMIT))
            for each in asked[:PROMPTS_PER_CASE]
            if not pd.isna(each.input)
        ),
    )


def describe_input(variables: Any, asked: Any) -> str:
    """What a case put into its prompt, from the columns `vars` and `input`: a lone variable's
    value, else `name: value` lines, without variables that the prompt does not show. Of a
    conversation the last thing the user said stands for all."""
    prompt = "" if pd.isna(asked) else asked
    if pd.isna(variables):
        return prompt
    try:
        values = {name: _readable_value(value) for name, value in json.loads(variables).items()}
    except (ValueError, RecursionError):  # cut, because it is long
        return str(variables)
    shown = {name: text for name, (text, said) in values.items() if said and said in prompt}
    shown = shown or {name: text for name, (text, _) in values.items()}
    if len(shown) == 1:
        return next(iter(shown.values()))
    return "\n".join(f"{name}: {text}" for name, text in shown.items())


def _readable_value(value: Any) -> tuple[str, str]:
    """A variable as it is shown, and the part of it that its prompt has."""
    turns = _as_turns(value)
    if not turns:
        text = plain_text(value) or ""
        return text, text
    asked = [place for place, (role, _) in enumerate(turns) if role == "user"]
    place = asked[-1] if asked else len(turns) - 1
    said = turns[place][1]
    left_out = [
        pluralize(count, f"{which} turn")
        for which, count in (("earlier", place), ("later", len(turns) - place - 1))
        if count
    ]
    return (f"(… {', '.join(left_out)}) {said}" if left_out else said), said


def _as_turns(value: Any) -> list[tuple[str, str]]:
    """The role and text of each turn of a conversation, or of one as JSON; empty for anything
    else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    if not isinstance(value, list) or not all(
        isinstance(turn, dict) and isinstance(turn.get("role"), str) and "content" in turn
        for turn in value
    ):
        return []
    return [(turn["role"], _turn_text(turn["content"])) for turn in value]


def _turn_text(content: Any) -> str:
    """The text of a turn, or of its parts; images are named, as in prompts."""
    if not isinstance(content, list):
        return plain_text(content) or ""
    parts = (part if isinstance(part, dict) else {"text": part} for part in content)
    return "\n".join(
        text if isinstance(text := part.get("text"), str) else "[image]" for part in parts
    )


def _build_answer(trial: Any, grades: list[GradeLine]) -> CaseAnswer:
    broken = not pd.isna(trial.error_message)
    return CaseAnswer(
        repeat=int(trial.repeat),
        outcome=trial.outcome,
        preview=trial.answer[:PREVIEW_LIMIT],
        characters=int(trial.answer_characters),
        score=_none_if_nan(trial.score),
        grades=tuple(grades),
        error=_truncate_text(f"{trial.error_kind}: {trial.error_message}", REASON_LIMIT)
        if broken
        else None,
        finish_reason=None if pd.isna(trial.finish_reason) else trial.finish_reason,
        latency=_none_if_nan(trial.latency),
        cost=_none_if_nan(trial.cost),
        steps=None if pd.isna(trial.steps) else _truncate_text(trial.steps, PREVIEW_LIMIT),
    )


def _build_grade_line(row: Any) -> GradeLine:
    passed = None if pd.isna(row.passed) else bool(row.passed)
    if row.kind == "label":
        value = _truncate_text(row.label, REASON_LIMIT)
    else:
        value = {"verdict": "pass" if row.value else "fail", "ungraded": "ungraded"}.get(
            row.kind
        ) or formatting.format_number(row.value)
    reason = row.reason if pd.isna(row.error) else f"{row.error} {row.reason}".strip()
    if not pd.isna(row.extracted):
        reason = formatting.add_extract(reason, row.extracted)
    return GradeLine(
        row.name, passed, value, _truncate_text(reason, REASON_LIMIT), float(row.weight)
    )


def _truncate_text(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text):,} characters]"


def _none_if_nan(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _as_sortable(column: Any) -> Any:
    return column.astype(object) if column.dtype == "category" else column
