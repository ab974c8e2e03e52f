"""What a reader must know before believing a figure: the warnings of a Report, as sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import fsum
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import formatting
from harness.analysis.frame import Frames
from harness.analysis.limit_warnings import limit_warnings
from harness.analysis.report_data import Configuration, RunHeader
from harness.analysis.typed_columns import SHORT_TEXT
from harness.model import BATCHED, CACHED, STALLED
from harness.providers.served_model import PROVIDERS_WITH_OWN_NAMES, is_same_model
from harness.wording import pluralize

FlagCounts = Counter[tuple[str, str]]
"""How many answers of a target have a flag, by both."""

CASES_TO_COMPARE = 5
"""In fewer cases than these, prompts that answer alike are no surprise."""

FEW_CASES = 30
"""Below this many cases an interval of a rate spans tens of points."""


def collect_warnings(
    runs: Sequence[RunHeader], configurations: Sequence[Configuration], frames: Frames
) -> tuple[str, ...]:
    """The warnings, the most important first; empty where there is nothing to warn of."""
    trials, flagged = frames.trials, _count_flags(frames)
    return (
        *_replay_warnings(runs, trials),
        *_run_warnings(runs),
        *_error_warnings(trials),
        *_served_model_warnings(runs, frames.exchanges),
        *_backend_warnings(frames.exchanges),
        *_ignored_parameter_warnings(flagged),
        *_response_format_warnings(flagged),
        *_conversation_warnings(flagged),
        *limit_warnings(frames),
        *_grading_warnings(configurations, frames.grades),
        *_price_warnings(runs, trials),
        *_sample_size_warnings(configurations),
        *dict.fromkeys(_sentence(note) for run in runs for note in run.notes),
        *_same_answers_warnings(trials),
        *_left_out_warnings(trials, flagged),
        *_truncation_warnings(frames.shortened),
    )


def _sentence(note: str) -> str:
    """What was said before the run, as warnings are written."""
    return f"{note[:1].upper()}{note[1:]}{'' if note.endswith('.') else '.'}"


def _run_warnings(runs: Sequence[RunHeader]) -> Iterator[str]:
    for run in runs:
        name = run.id if len(runs) > 1 else "The run"
        if run.recorded == 0:
            yield f"{name} has no records: nothing was measured."
        elif not run.finished:
            yield (
                f"{name} is not finished: {run.recorded:,} of"
                f" {pluralize(run.planned, 'trial')} recorded."
            )
        if run.error_rate is not None and run.has_too_many_errors:
            share, most = (
                formatting.format_percent(run.error_rate),
                formatting.format_percent(run.max_error_rate),
            )
            yield (
                f"{name} has too many errors: {share} of its trials ended in one, more than the"
                f" {most} tolerated (`max_error_rate`). Its figures describe the rest."
            )
        if run.has_too_many_ungraded:
            yield f"{name} gives no verdict: {_ungraded_share(run)}. Its figures describe the rest."
    simulated = dict.fromkeys(target for run in runs for target in run.simulated)
    if simulated:
        yield (
            f"Simulated: {formatting.join_names(list(simulated))}. Figures from a simulator say"
            " nothing about a real model."
        )


def _ungraded_share(run: RunHeader) -> str:
    """How many answers have no grade, of the run or of the parts that have too few."""
    tolerated = (
        f"more than the {formatting.format_percent(run.max_ungraded_rate)} tolerated"
        " (`max_ungraded_rate`)"
    )
    if run.exceeds_ungraded_rate:
        share = formatting.format_percent(run.ungraded_rate)
        return f"{share} of its answers could not be graded, {tolerated}"
    parts = formatting.join_names(list(run.ungraded_parts), 3)
    return f"the answers that could not be graded are {tolerated} in {parts}"


def _replay_warnings(runs: Sequence[RunHeader], trials: Any) -> Iterator[str]:
    """What is not in the recording, and why: it explains all that comes of it."""
    yield from dict.fromkeys(_sentence(run.replay_gap) for run in runs if run.replay_gap)
    if missed := int(_missed_by_replay(trials).sum()):
        yield (
            f"{pluralize(missed, 'trial')} could not be replayed, because the recording has no"
            " answer to the request. Record a new run."
        )


def _missed_by_replay(trials: Any) -> Any:
    """Of each trial, whether the recording lacks its answer."""
    return (trials["error_kind"] == "replay_miss").to_numpy(dtype=bool, na_value=False)


def _error_warnings(trials: Any) -> Iterator[str]:
    """How the trials that ended in an error are asked again."""
    missed = _missed_by_replay(trials)
    owed = trials["owed"].to_numpy(dtype=bool) & ~missed
    temporary = int(owed.sum())
    final = int(((trials["outcome"] == "error").to_numpy() & ~owed & ~missed).sum())
    if temporary:
        yield (
            f"{pluralize(temporary, 'trial')} ended in an error that may be temporary:"
            f" `harness resume RUN` retries {'it' if temporary == 1 else 'them'}."
        )
    if final:
        yield (
            f"{pluralize(final, 'trial')} ended in a permanent error: remove its cause, then"
            f" `harness resume RUN --retry-errors` retries {'it' if final == 1 else 'them'}."
        )


def _served_model_warnings(runs: Sequence[RunHeader], exchanges: Any) -> Iterator[str]:
    """Who answered as another model than the one that was asked for: an alias, a fallback, or a
    server that takes any name."""
    everyone = [
        (run.id, name, facts)
        for run in runs
        for name, facts in {**run.helpers, **run.targets}.items()
    ]
    asked = {
        (run, name): facts.get("model")
        for run, name, facts in everyone
        if facts.get("provider") not in PROVIDERS_WITH_OWN_NAMES
    }
    seen = exchanges[["run", "sent_to", "model"]].drop_duplicates().dropna().astype(object)
    others: dict[tuple[str, str], list[str]] = {}
    for run, target, served in sorted(seen.itertuples(index=False, name=None)):
        wanted = asked.get((run, target))
        if wanted is not None and not is_same_model(wanted, served):
            others.setdefault((target, wanted), []).append(served)
    for (target, wanted), served_as in others.items():
        names = formatting.join_names(list(dict.fromkeys(served_as)))
        yield (
            f"{target} was asked for the model {wanted} but reports {names}: another model may have"
            " been measured."
        )


def _backend_warnings(exchanges: Any) -> Iterator[str]:
    """Whose serving system changed within one run, as its fingerprints tell: seeded answers do not
    repeat across that."""
    seen = exchanges[["run", "sent_to", "fingerprint"]].drop_duplicates().dropna().astype(object)
    for (_, target), group in seen.groupby(["run", "sent_to"], observed=True):
        prints = sorted(group["fingerprint"])
        if len(prints) > 1:
            shown = formatting.join_names(prints[:5]) + (", …" if len(prints) > 5 else "")
            yield (
                f"{target} answered with {len(prints)} system fingerprints ({shown}): its backend"
                " changed during the run."
            )


def _ignored_parameter_warnings(flagged: FlagCounts) -> Iterator[str]:
    """Parameters that left no trace in an answer that could not have hidden it."""
    for (target, flag), count in sorted(flagged.items()):
        if flag.startswith("ignored_"):
            parameter, answers = (
                flag.removeprefix("ignored_"),
                pluralize(count, "answer", "shows"),
            )
            yield f"{target} silently ignored {parameter}: {answers} no sign of it."


def _response_format_warnings(flagged: FlagCounts) -> Iterator[str]:
    """Answers that are not what their response format asked for."""
    wrong = {
        "invalid_json": "not JSON, although JSON was requested",
        "schema_mismatch": "JSON that does not match the schema",
        "schema_unchecked": "JSON that took too long to check against the schema",
    }
    for (target, flag), count in sorted(flagged.items()):
        if flag in wrong:
            yield (f"{target}: {pluralize(count, 'answer', 'is')} {wrong[flag]}.")


def _conversation_warnings(flagged: FlagCounts) -> Iterator[str]:
    """Conversations that did not come to their end, and calls that did not work."""
    said = {
        "max_turns": "reached `max_turns` while the model was still calling tools",
        "failed_tool_calls": "had a tool call that failed",
    }
    for (target, flag), count in sorted(flagged.items()):
        if flag in said:
            yield f"{target}: {pluralize(count, 'conversation')} {said[flag]}."


def _count_flags(frames: Frames) -> FlagCounts:
    counts: FlagCounts = Counter()
    for (target, flags), count in (
        frames.trials.groupby(["target", "flags"], observed=True).size().items()
    ):
        for flag in frames.flags[flags]:
            counts[target, flag] += count
    return counts


def _grading_warnings(configurations: Sequence[Configuration], grades: Any) -> Iterator[str]:
    silent = [c.label for c in configurations if c.n and c.no_verdict == c.n]
    if silent:
        yield f"No grader can fail an answer in {formatting.join_names(silent)}: no pass rate."
    ungraded = sum(c.ungraded for c in configurations)
    if ungraded:
        answers = pluralize(ungraded, "answer")
        yield (
            f"{answers} could not be graded, and count neither as passed nor as failed"
            f"{_ungraded_by_grader(grades)}."
        )


def _ungraded_by_grader(grades: Any) -> str:
    """Which graders gave no grade, how often, and the most frequent reason of each."""
    missing = grades[((grades["kind"] == "ungraded") & (grades["weight"] > 0)).to_numpy()]
    found = []
    for name, reasons in missing.groupby("name", observed=True)["error"]:
        known = reasons.dropna()
        most = f", most often: {known.mode().iloc[0]}" if len(known) else ""
        found.append((len(reasons), f"{name} {pluralize(len(reasons), 'time')}{most}"))
    found.sort(key=lambda grader: -grader[0])
    return f" ({'; '.join(text for _, text in found)})" if found else ""


def _price_warnings(runs: Sequence[RunHeader], trials: Any) -> Iterator[str]:
    """Answers whose cost is unknown: because their target has no price, or because the server did
    not report the tokens."""
    missing = trials[(trials["cost"].isna() & (trials["outcome"] != "error")).to_numpy()]
    has_price = np.zeros(len(missing), dtype=bool)
    for run in runs:
        priced = [name for name, facts in run.targets.items() if facts.get("price")]
        has_price |= (missing["run"] == run.id) & missing["target"].isin(priced)
    if len(unpriced := missing[~has_price]):
        answers = pluralize(len(unpriced), "answer")
        yield (
            f"Unpriced target: {_target_names(unpriced)}; the cost of {answers} is unknown, not"
            " zero."
        )
    if len(uncounted := missing[has_price]):
        estimates = uncounted["estimated_cost"].to_numpy()
        about = formatting.format_dollars(fsum(estimates[np.isfinite(estimates)]))
        yield (
            f"{_target_names(uncounted)} did not report the tokens of"
            f" {pluralize(len(uncounted), 'answer')}: their cost is unknown (≈ {about}, from"
            " estimated token counts)."
        )


def _target_names(trials: Any) -> str:
    return formatting.join_names(sorted(trials["target"].astype(object).unique()))


def _sample_size_warnings(configurations: Sequence[Configuration]) -> Iterator[str]:
    few = [c for c in configurations if 0 < c.cases < FEW_CASES]
    if few:
        least = pluralize(min(c.cases for c in few), "case")
        some = "some configurations have" if len(configurations) > 1 else "the configuration has"
        yield (
            f"Few cases: {some} only {least}. Intervals are wide, and small differences are noise."
        )


def _same_answers_warnings(trials: Any) -> Iterator[str]:
    """Prompts that got the same answers throughout: whatever was to be compared, these cases do not
    show it."""
    answered = trials[(trials["outcome"] != "error").to_numpy()]
    keys = ["run", "eval", "prompt"]
    sizes = answered.groupby(keys, observed=True)["answer_characters"].agg(["size", "sum"])
    sizes = sizes.reset_index()
    alike = sizes[sizes.duplicated(["run", "eval", "size", "sum"], keep=False)]
    for (run, eval_name), rows in alike.groupby(["run", "eval"], observed=True):
        mine = answered[((answered["run"] == run) & (answered["eval"] == eval_name)).to_numpy()]
        found: dict[bytes, list[str]] = {}
        for prompt in rows["prompt"]:
            own = mine[(mine["prompt"] == prompt).to_numpy()]
            found.setdefault(_answers_digest(own), []).append(prompt)
        cases = mine["case"].nunique()
        for prompts in found.values() if cases >= CASES_TO_COMPARE else ():
            if len(prompts) > 1:
                yield (
                    f"The prompts {formatting.join_names(prompts)} got the same answers in all"
                    f" {cases:,} cases of {eval_name}: these cases do not tell them apart."
                )


def _answers_digest(trials: Any) -> bytes:
    """Equal for the same answers to the same cases in the same settings."""
    columns = ["target", "setting", "case", "repeat", "answer"]
    hashes: Any = pd.util.hash_pandas_object(trials[columns], index=False)
    digest: bytes = np.sort(hashes.to_numpy()).tobytes()
    return digest


def _left_out_warnings(trials: Any, flagged: FlagCounts) -> Iterator[str]:
    estimated = int((trials["tokens_source"] == "estimated").sum())
    if estimated:
        yield (
            f"The token counts of {pluralize(estimated, 'answer')} are estimated: the server"
            " did not report them."
        )
    if stalled := sum(count for (_, flag), count in flagged.items() if flag == STALLED):
        slept = "this machine was asleep or overloaded during the request"
        yield f"The latency of {pluralize(stalled, 'answer')} is left out: {slept}."
    if batched := sum(count for (_, flag), count in flagged.items() if flag == BATCHED):
        yield f"{pluralize(batched, 'answer')} came in batches and have no latency."
    if cached := sum(count for (_, flag), count in flagged.items() if flag == CACHED):
        told = "send `cf-aig-skip-cache: true`, or vary the seed"
        yield (
            f"{pluralize(cached, 'answer', 'was')} served from a gateway's cache and left out of"
            f" latency; {told}."
        )
    replayed = int(np.count_nonzero(trials["replayed"]))
    if replayed:
        answers = pluralize(replayed, "answer", "was")
        yield f"{answers} replayed from earlier runs, and left out of latency and new spending."


def _truncation_warnings(texts: int) -> Iterator[str]:
    if texts:
        where = (
            "here, in results.csv and in records.parquet, to save memory; records.jsonl has them"
            " in full"
        )
        cut = pluralize(texts, "long text", "is") + " cut"
        yield f"{cut} at {SHORT_TEXT} characters {where}."
