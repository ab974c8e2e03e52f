"""What resuming compares stays what stored runs hold: literal fingerprints, manifests and trial keys of version 0.1.0.

`stored/` is a workspace; `stored/NAME.json` is what that version wrote for `stored/suites/NAME.yaml`. These files are never
written anew: a run of that version must still resume.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.app.prepare import prepare
from harness.suite import Suite, describe_suite, fingerprint_suite, load_suite

STORED = Path(__file__).parent / "stored"
NAMES = ("inline", "folders", "completion", "code")


def stored(name: str) -> tuple[Suite, dict[str, Any]]:
    expected: dict[str, Any] = json.loads((STORED / f"{name}.json").read_text("utf-8"))
    return load_suite(STORED / "suites" / f"{name}.yaml"), expected


@pytest.mark.parametrize("name", NAMES)
def test_a_fingerprint_is_what_stored_runs_hold(name: str) -> None:
    suite, expected = stored(name)
    assert fingerprint_suite(suite) == expected["fingerprint"]
    assert list(fingerprint_suite(suite)) == list(expected["fingerprint"])


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_in_a_manifest_is_what_stored_runs_hold(name: str) -> None:
    suite, expected = stored(name)
    assert json.dumps(describe_suite(suite)) == json.dumps(expected["plain"])


@pytest.mark.parametrize("name", NAMES)
def test_trial_keys_are_what_stored_runs_hold(name: str) -> None:
    suite, expected = stored(name)
    with prepare(suite, {}, live=False) as ready:
        keys = [trial.key for target in ready.targets for trial in ready.plan.trials(target)]
    assert keys == expected["keys"]
