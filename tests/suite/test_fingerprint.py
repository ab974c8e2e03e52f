"""What resuming compares stays what stored runs hold: literal fingerprints, manifests and trial
keys of version 0.1.0.

`stored/` is a workspace; `stored/NAME.json` is what that version wrote for
`stored/suites/NAME.yaml`. These files are never written anew: a run of that version must still
resume.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from harness.app.prepare import prepare
from harness.config.fields import SuiteModel
from harness.config.units import Flag, Text
from harness.suite import Suite, describe_suite, fingerprint_suite, load_suite
from harness.suite.fingerprint import COMPARED, NOT_COMPARED
from harness.suite.run_settings import RunSpec
from harness.suite.schema import EvalFields, SuiteFile
from harness.suite.targets.target_reader import TargetSpec

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


class NewEvalFields(EvalFields):
    """The eval fields of a later version: nothing in `fingerprint` knows of the new key."""

    shuffle: Flag = False


class NewSuiteFile(SuiteFile):
    """The suite file of a later version."""

    phases: Text = "one"


class NewRunSpec(RunSpec):
    """The `run:` of a later version."""

    warm_up: Flag = False


class NewTargetSpec(TargetSpec):
    """The targets of a later version."""

    region: Text | None = None


def of_later_version(suite: Suite, **keys: Any) -> Suite:
    """The suite as a version would load it that has one more key in each mapping."""
    (evaluation, *others) = suite.evals
    fields = {name: getattr(evaluation.written, name) for name in EvalFields.model_fields}
    changed = replace(
        evaluation,
        written=NewEvalFields.model_construct(**fields, shuffle=keys.get("shuffle", False)),
    )
    return replace(
        suite,
        evals=(changed, *others),
        written=NewSuiteFile.model_construct(
            **dict(suite.written), phases=keys.get("phases", "one")
        ),
        run=NewRunSpec.model_construct(**dict(suite.run), warm_up=keys.get("warm_up", False)),
        targets=tuple(
            NewTargetSpec.model_construct(**dict(target), region=keys.get("region"))
            for target in suite.targets
        ),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_key_of_a_later_version_that_is_not_given_changes_nothing(name: str) -> None:
    suite, expected = stored(name)
    assert fingerprint_suite(of_later_version(suite)) == expected["fingerprint"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("key", "value", "axis"),
    [
        ("shuffle", True, "evals"),
        ("phases", "two", "suite"),
        ("warm_up", True, "run"),
        ("region", "eu", "targets"),
    ],
)
def test_a_key_of_a_later_version_is_compared_and_described(
    name: str, key: str, value: Any, axis: str
) -> None:
    suite, expected = stored(name)
    later = of_later_version(suite, **{key: value})
    now = fingerprint_suite(later)
    assert {
        each
        for each in {*now, *expected["fingerprint"]}
        if now.get(each) != expected["fingerprint"].get(each)
    } == {axis}
    assert json.dumps(key) in json.dumps(describe_suite(later))


@pytest.mark.parametrize("kind", [EvalFields, SuiteFile, RunSpec, TargetSpec])
def test_the_lists_name_keys_there_are_and_each_once(kind: type[SuiteModel]) -> None:
    own = kind.model_fields.keys() - (
        EvalFields.model_fields.keys() if kind is SuiteFile else set()
    )
    assert COMPARED[kind] | NOT_COMPARED[kind] <= own | {"description"}
    assert not COMPARED[kind] & NOT_COMPARED[kind]
