"""What is said to have changed between two plans: the part of the suite that was edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.app.plan_changes import PlannedSuite, describe_changes
from harness.suite import describe_suite, fingerprint_suite, load_suite

SUITE = """\
suite: s
prompts: [{id: v1, user: "{{ q }}"}, {id: v2, user: "Briefly: {{ q }}"}]
cases: [{id: c, vars: {q: hi}}]
targets: scout-sim
sampling: {temperature: 0}
response_format: {type: json_object}
tools: [{name: look_up, parameters: {type: object}, returns: "7"}]
"""


def plan(path: Path, text: str) -> PlannedSuite:
    path.write_text(text)
    suite = load_suite(path)
    return PlannedSuite(fingerprint_suite(suite), describe_suite(suite))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Briefly", "In short", "prompt v2 changed"),
        ('returns: "7"', 'returns: "8"', "the tools changed"),
        ("response_format: {type: json_object}\n", "", "the response format changed"),
        ("temperature: 0", "temperature: 1", "sampling parameters changed"),
        ("targets: s", "simulated_user: {prompt: x, target: scout-sim}\ntargets: s", "helper"),
        ("{id: v1, ", "{id: v0, ", "prompt v0 is new, prompt v1 is gone"),
        (
            'Briefly: {{ q }}"}]',
            'In short: {{ q }}"}]\ntool_choice: required',
            "the tools changed, prompt v2 changed",
        ),
    ],
)
def test_the_part_that_was_edited_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "suite.yaml"
    changes = describe_changes(plan(path, SUITE), plan(path, SUITE.replace(old, new)))
    if said == "helper":
        assert "the simulated user changed" in changes
        assert "prompt v" not in changes
    else:
        assert changes == said
