"""A plan names every trial once, in an order that is a function of the seed, with keys that change
when what is sent does."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.errors import UsageError
from harness.model import Target, Trial
from harness.plan import (
    Plan,
    check_identities,
    decode_trial,
    encode_trial,
    permute_index,
    repeat_seed,
)
from harness.suite import Overrides, Suite, load_suite

TARGET = Target("m", "openai", "tiny", "http://host/v1", "http://host/v1")
SUITE = """
suite: sums
prompts:
  - {id: a, user: "{{ x }}?"}
  - {id: b, system: Be brief., user: "{{ x }}"}
cases:
  - {id: one, vars: {x: 1 + 1}, expected: 2, tags: [easy]}
  - {id: two, vars: {x: 2 + 2}, expected: 4}
  - {id: three, vars: {x: 3 + 3}, expected: null, sampling: {max_tokens: 9}}
graders: [equals]
targets:
  - {name: m, provider: openai, base_url: "http://host/v1", model: tiny}
sampling: {max_tokens: 5, seed: 7}
sweep: {temperature: [0, 1]}
repeats: 2
"""


def suite_of(folder: Path, text: str = SUITE, overrides: Overrides | None = None) -> Suite:
    path = folder / "suite.yaml"
    path.write_text(text)
    return load_suite(path, overrides or Overrides())


def plan_of(folder: Path, text: str = SUITE, *targets: Target) -> Plan:
    return Plan(suite_of(folder, text), targets or (TARGET,))


def keys(plan: Plan, target: Target = TARGET) -> dict[str, str]:
    return {repr(trial.identity): trial.key for trial in plan.trials(target)}


def test_every_combination_is_planned_once(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    trials = list(plan.trials(TARGET))
    assert len(trials) == len(plan) == plan.counts[TARGET.name] == 2 * 3 * 2 * 2
    assert len({trial.key for trial in trials}) == len(trials)
    assert Counter(trial.identity.case for trial in trials) == {"one": 8, "two": 8, "three": 8}


def test_the_arithmetic_is_what_is_planned(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert (
        plan.arithmetic == "2 prompts × 1 target × 3 cases × 2 settings × 2 repeats = 24 requests"
    )


def test_what_a_sweep_leaves_out_is_said(tmp_path: Path) -> None:
    sweep = "sweep: {temperature: [0, 1], top_p: [0.5, 1], exclude: [{temperature: 0, top_p: 0.5}]}"
    plan = plan_of(tmp_path, SUITE.replace("sweep: {temperature: [0, 1]}", sweep))
    assert plan.arithmetic.endswith("× 3 settings × 2 repeats = 36 requests, 12 excluded")
    assert len(list(plan.trials(TARGET))) == 36


def test_a_cases_configurations_are_sent_close_together(tmp_path: Path) -> None:
    blocks = [
        (who, len(list(trials)))
        for who, trials in groupby(
            plan_of(tmp_path).trials(TARGET),
            lambda trial: (trial.identity.case, trial.identity.repeat),
        )
    ]
    assert len(blocks) == len(set(blocks)) == 3 * 2
    assert {size for _, size in blocks} == {2 * 2}


def test_the_order_is_the_seeds_and_no_other(tmp_path: Path) -> None:
    def order(seed: int) -> list[str]:
        return [
            trial.key
            for trial in plan_of(tmp_path, SUITE + f"run: {{seed: {seed}}}\n").trials(TARGET)
        ]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2))


def test_each_repeat_has_a_seed_of_its_own(tmp_path: Path) -> None:
    seeds = {
        (trial.identity.repeat, trial.request.sampling["seed"])
        for trial in plan_of(tmp_path).trials(TARGET)
    }
    assert seeds == {(0, 7), (1, 8)}


def test_a_fixed_seed_is_sent_always(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SUITE.replace("seed: 7", "seed: {fixed: 7}"))
    assert {trial.request.sampling["seed"] for trial in plan.trials(TARGET)} == {7}


@given(
    seed=st.integers(-(2**70), 2**70),
    repeat=st.integers(0, 10**6),
    low=st.integers(-5, 5),
    size=st.integers(1, 10**10),
)
def test_a_seed_stays_inside_the_targets_range(seed: int, repeat: int, low: int, size: int) -> None:
    assert low <= repeat_seed(seed, repeat, (low, low + size - 1)) < low + size


def test_the_sweep_wins_over_the_case_the_suite_and_the_target(tmp_path: Path) -> None:
    target = replace(TARGET, sampling={"temperature": 9, "max_tokens": 99, "top_p": 0.5})
    sent = {
        trial.identity.case: trial.request.sampling
        for trial in plan_of(tmp_path, SUITE, target).trials(target)
    }
    assert {case: (each["max_tokens"], each["top_p"]) for case, each in sent.items()} == {
        "one": (5, 0.5),
        "two": (5, 0.5),
        "three": (9, 0.5),
    }
    assert {each["temperature"] for each in sent.values()} <= {0, 1}


def test_a_dropped_parameter_is_not_sent_but_still_tells_settings_apart(tmp_path: Path) -> None:
    plan = Plan(suite_of(tmp_path), (TARGET,), dropped={"m": {"temperature"}})
    trials = list(plan.trials(TARGET))
    assert {"temperature" in trial.request.sampling for trial in trials} == {False}
    assert {trial.identity.setting["temperature"] for trial in trials} == {0, 1}


CHANGES = {
    "a prompt's text": ("Be brief.", "Be long."),
    "a case's variable": ("1 + 1", "1 + 2"),
    "a parameter": ("max_tokens: 5", "max_tokens: 6"),
}


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ("a prompt's text", "prompt='b'"),
        ("a case's variable", "case='one'"),
        ("a parameter", "case='t"),
    ],
)
def test_a_key_changes_with_what_is_sent_and_the_identity_stays(
    tmp_path: Path, change: str, touched: str
) -> None:
    before, after = (
        keys(plan_of(tmp_path)),
        keys(plan_of(tmp_path, SUITE.replace(*CHANGES[change]))),
    )
    assert before.keys() == after.keys()
    assert any(touched in identity for identity in before)
    for identity in before:
        changed = touched in identity if change != "a parameter" else "case='three'" not in identity
        assert (before[identity] != after[identity]) is changed


@pytest.mark.parametrize(
    "other",
    [
        replace(TARGET, model="huge"),
        replace(TARGET, provider="cloudflare"),
        replace(TARGET, address="http://elsewhere/v1"),
        replace(TARGET, extra_body={"user": "me"}),
    ],
)
def test_a_key_changes_with_the_target(tmp_path: Path, other: Target) -> None:
    plan = plan_of(tmp_path)
    assert not set(keys(plan).values()) & set(keys(plan, other).values())


@pytest.mark.parametrize(
    "same",
    [
        replace(TARGET, base_url="http://127.0.0.1:49152/v1"),
        replace(TARGET, api_key_env="OTHER_KEY"),
        replace(TARGET, simulated=True),
    ],
)
def test_ports_and_api_keys_are_in_no_key(tmp_path: Path, same: Target) -> None:
    plan = plan_of(tmp_path)
    assert keys(plan) == keys(plan, same)


def test_graders_and_expectations_are_in_no_key(tmp_path: Path) -> None:
    regraded = SUITE.replace("graders: [equals]", "graders: [{contains: '2'}]").replace(
        "expected: 2", "expected: two"
    )
    assert keys(plan_of(tmp_path)) == keys(plan_of(tmp_path, regraded))


def test_a_trial_carries_what_its_graders_need_and_prompts_do_not_see(tmp_path: Path) -> None:
    trial: Trial = next(
        trial for trial in plan_of(tmp_path).trials(TARGET) if trial.identity.case == "one"
    )
    assert (trial.expected, trial.variables, trial.tags) == (2, {"x": "1 + 1"}, ("easy",))


def test_two_targets_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="targets name m more than once"):
        check_identities(suite_of(tmp_path), [TARGET, TARGET])


@given(size=st.integers(1, 5000), seed=st.integers(0, 2**64))
def test_the_permutation_hits_every_index_once(size: int, seed: int) -> None:
    assert sorted(permute_index(index, size, seed) for index in range(size)) == list(range(size))


def test_the_permutation_mixes(seed: int = 3, size: int = 1000) -> None:
    moved = [permute_index(index, size, seed) for index in range(size)]
    neighbours = sum(abs(one - other) == 1 for one, other in pairwise(moved))
    assert neighbours < 20


TALK = """
suite: talk
prompts:
  - {user: "{{ x }}", turns: ["and {{ x }}?", {user: bye, graders: [{contains: "{{ expected }}"}]}]}
cases: [{id: one, vars: {x: 1 + 1}, expected: bye}]
graders: [equals]
tools: [{name: f, parameters: {type: object}, returns: [1, "{{ x }}"]}]
targets:
  - {name: m, provider: openai, base_url: "http://host/v1", model: tiny}
"""


def talk(folder: Path, text: str = TALK) -> Trial:
    (trial,) = plan_of(folder, text).trials(TARGET)
    return trial


def test_a_trial_carries_its_tools_and_later_turns(tmp_path: Path) -> None:
    trial = talk(tmp_path)
    assert trial.conversation is not None
    assert [tool.name for tool in trial.request.tools] == ["f"]
    assert trial.conversation.turns == ("and 1 + 1?", "bye")
    assert [[spec.id for spec in turn] for turn in trial.turn_graders] == [
        [],
        [],
        ["turn-3: contains"],
    ]
    assert decode_trial(encode_trial(trial)) == trial


def test_graders_of_the_first_answer_say_nothing_and_come_first(tmp_path: Path) -> None:
    trial = talk(tmp_path, TALK.replace('["and', '[{graders: [{contains: "{{ x }}"}]}, "and'))
    assert [[spec.id for spec in turn] for turn in trial.turn_graders] == [
        ["turn-1: contains"],
        [],
        ["turn-3: contains"],
    ]
    assert (trial.conversation, trial.key) == (talk(tmp_path).conversation, talk(tmp_path).key)
    assert decode_trial(encode_trial(trial)) == trial


def test_a_first_answer_that_is_the_only_one_has_its_graders_too(tmp_path: Path) -> None:
    text = TALK.replace('"and {{ x }}?", {user: bye, graders: ', "{graders: ").replace(
        "tools:", "# tools:"
    )
    trial = talk(tmp_path, text)
    assert (trial.conversation, [[spec.id for spec in turn] for turn in trial.turn_graders]) == (
        None,
        [["turn-1: contains"]],
    )


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("bye, graders", "good bye, graders"),
        ('[1, "{{ x }}"]', '[2, "{{ x }}"]'),
        ("{name: f,", "{name: g,"),
        ("{type: object}", "{type: object, properties: {a: {}}}"),
        ("targets:", "max_turns: 3\ntargets:"),
        ("targets:", "tool_choice: f\ntargets:"),
    ],
)
def test_what_decides_a_conversation_is_in_the_key(
    tmp_path: Path, written: str, instead: str
) -> None:
    assert written in TALK
    assert talk(tmp_path, TALK.replace(written, instead)).key != talk(tmp_path).key


def test_a_turns_graders_are_in_no_key(tmp_path: Path) -> None:
    assert (
        talk(tmp_path, TALK.replace('{contains: "{{ expected }}"}', "json")).key
        == talk(tmp_path).key
    )


def test_where_there_is_no_conversation_a_trial_has_none(tmp_path: Path) -> None:
    assert {
        (trial.conversation, trial.turn_graders) for trial in plan_of(tmp_path).trials(TARGET)
    } == {(None, ())}
