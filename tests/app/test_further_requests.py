"""Requests to judges and simulated users, and those of later turns, are counted before a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.app.further_requests import describe_further_requests
from harness.app.preview import dry_run, validate_suite
from harness.model import Target
from harness.plan import Plan, hash_identity
from harness.suite import Overrides, load_suite

SUITE = """\
suite: s
prompts: [{id: a, user: "{{ q }}"}, {id: b, user: "{{ q }}?"}]
cases: [{id: x, vars: {q: one}}, {id: y, vars: {q: two}}, {id: z, vars: {q: three}%s}]
graders: [%s]
targets: scout-sim
sweep: {temperature: [0, 1]}
repeats: 2
"""
JUDGE = "{judge: {rubric: polite, target: scout}}"
USER = "simulated_user: {target: scout, prompt: Be curious., max_turns: 3}\n"
TOOLS = "tools: [{name: look, parameters: {type: object}, returns: 1}]\nmax_turns: 5\n"
OF_TARGETS = "to the targets (later turns and tool calls)"


@pytest.mark.parametrize(
    ("case", "graders", "more", "line"),
    [
        ("", "json", "", None),
        ("", f"json, {JUDGE}", "", "and up to 24 requests to scout (judge)"),
        ("", f"any: [json, not: {JUDGE}]", "", "and up to 24 requests to scout (judge)"),
        (", graders: [json]", JUDGE, "", "and up to 16 requests to scout (judge)"),
        (f", graders: [{JUDGE}]", "json", "", "and up to 8 requests to scout (judge)"),
        (", prompts: [a]", JUDGE, "", "and up to 20 requests to scout (judge)"),
        (
            f", turns: [{{graders: [{JUDGE}]}}, More?, And?]",
            JUDGE,
            "",
            f"and up to 16 requests {OF_TARGETS}, up to 32 to scout (judge)",
        ),
        ("", "json", TOOLS, f"and up to 96 requests {OF_TARGETS}"),
        (
            "",
            JUDGE,
            USER,
            f"and up to 72 requests {OF_TARGETS}, up to 24 to scout (judge), up to 72 to scout"
            " (simulated user)",
        ),
        (
            ", turns: [More?]",
            "json",
            USER + TOOLS,
            f"and up to 496 requests {OF_TARGETS}, up to 72 to scout (simulated user)",
        ),
    ],
)
def test_every_request_beside_the_first_of_a_trial_is_counted(
    tmp_path: Path, case: str, graders: str, more: str, line: str | None
) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE % (case, graders) + more)
    for lines in (list(validate_suite(path)), list(dry_run(path, Overrides()))):
        found = [each for each in lines if each.startswith("and up to")]
        assert found == ([] if line is None else [line])


def test_only_selected_trials_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE % (f", graders: [{JUDGE}, {JUDGE}]", JUDGE))
    target = Target("m", "openai", "tiny", "http://host/v1", "http://host/v1")
    plan = Plan(load_suite(path), (target,))
    chosen = [trial.identity for trial in plan.trials(target) if trial.identity.case != "y"][::3]
    selected = Plan(plan.suite, (target,), only={hash_identity(who) for who in chosen})
    requests = sum(2 if who.case == "z" else 1 for who in chosen)
    assert list(describe_further_requests(selected)) == [
        f"and up to {requests} requests to scout (judge)"
    ]
