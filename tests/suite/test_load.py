"""Loading: what a suite becomes, what the command line changes, and everything that is wrong at
once."""

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SuiteError
from harness.model import ResponseFormat
from harness.suite import Overrides, Suite, describe_suite, fingerprint_suite, load_suite

REPOSITORY = Path(__file__).parents[2]


def test_the_shipped_suites_load() -> None:
    paths = [
        path
        for path in sorted((REPOSITORY / "suites").glob("*.yaml"))
        if path.name != "targets.yaml"
    ]
    assert paths
    for path in paths:
        loaded = load_suite(path)
        assert loaded.workspace == REPOSITORY
        assert all(len(each.cases) for each in loaded.evals)


def test_an_inline_eval_is_called_after_its_suite(
    suite: Callable[..., Suite], tmp_path: Path
) -> None:
    loaded = suite()
    assert [each.name for each in loaded.evals] == ["small"]
    assert (loaded.settings, loaded.excluded, loaded.repeats, loaded.workspace) == (
        ({},),
        0,
        1,
        tmp_path.resolve(),
    )


def test_a_suite_replaces_an_evals_prompts_and_adds_to_its_graders(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write("evals/e/p.md", "# user\n{{ q }}\n")
    write(
        "evals/e/eval.yaml",
        "description: d\nprompts: p.md\ncases: c.csv\ngraders: json\nresponse_format: {type: json_schema, schema: s.json}\n",
    )
    write("evals/e/c.csv", "id,q\na,1\n")
    write("evals/e/s.json", '{"type": "object"}')
    alone = suite("suite: s\nevals: [../evals/e]\ntargets: scout-sim\n").evals[0]
    assert (
        alone.name,
        [prompt.id for prompt in alone.prompts],
        [each.id for each in alone.graders],
    ) == ("e", ["p"], ["json"])
    assert alone.response_format == ResponseFormat("json_schema", {"type": "object"})
    changed = suite(
        "suite: s\nevals: [../evals/e/eval.yaml]\nprompts: {id: new, user: '{{ q }}'}\n"
        "graders: [json, {contains: x}]\ntargets: scout-sim\n"
    ).evals[0]
    assert [prompt.id for prompt in changed.prompts] == ["new"]
    assert [each.id for each in changed.graders] == ["json", "json-2", "contains"]


@pytest.mark.parametrize(
    ("overrides", "ids"),
    [
        ({"limit": 2}, ["one", "two"]),
        ({"filters": ("tag=even",)}, ["two"]),
        ({"filters": ("tag!=easy",)}, ["three"]),
        ({"filters": ("tag=easy", "tag!=even")}, ["one"]),
        ({"filters": ("id=three",)}, ["three"]),
        ({"filters": ("id!=one",), "limit": 1}, ["two"]),
        ({"filters": ("prompt=prompt", "eval=small")}, ["one", "two", "three"]),
    ],
)
def test_filters_and_limits_select_cases(
    suite: Callable[..., Suite], overrides: dict[str, Any], ids: list[str]
) -> None:
    assert [case.id for case in suite(**overrides).evals[0].cases] == ids


def test_an_eval_of_which_nothing_is_left_drops_out(
    suite: Callable[..., Suite], write: Callable
) -> None:
    for name, tag in (("a", "x"), ("b", "y")):
        write(
            f"evals/{name}.yaml",
            f"prompts: [{{id: {name}p, user: hi}}]\ncases: [{{id: c, tags: [{tag}]}}]\n",
        )
    text = "suite: s\nevals: [../evals/a.yaml, ../evals/b.yaml]\ntargets: scout-sim\ngates: ['pass_rate{eval=a, tag=x} >= 0.5']\n"
    assert [each.name for each in suite(text).evals] == ["a", "b"]
    assert [each.name for each in suite(text, filters=("tag=y",)).evals] == ["b"]
    assert [each.name for each in suite(text, filters=("prompt!=ap",)).evals] == ["b"]
    assert [each.name for each in suite(text, filters=("eval=a",)).evals] == ["a"]


@pytest.mark.parametrize(
    ("overrides", "kept"),
    [
        ({}, ["all", "tag=x", "case=c, prompt=p", "eval=s, target=t"]),
        ({"filters": ("tag=x",)}, ["all", "tag=x", "eval=s, target=t"]),
        ({"filters": ("prompt=q",)}, ["all", "tag=x", "eval=s, target=t"]),
        ({"targets": ("scout-sim",)}, ["all", "tag=x", "case=c, prompt=p"]),
        ({"limit": 1}, ["all", "tag=x", "eval=s, target=t"]),
    ],
)
def test_a_gate_that_the_command_line_leaves_without_trials_is_skipped(
    suite: Callable[..., Suite], overrides: dict[str, Any], kept: list[str]
) -> None:
    slices = {
        "all": "",
        **{name: f"{{{name}}}" for name in ("tag=x", "case=c, prompt=p", "eval=s, target=t")},
    }
    text = (
        "suite: s\nprompts: [{id: p, user: hi}, {id: q, user: ho}]\n"
        "cases: [{id: b, tags: [x]}, {id: c, tags: [y]}]\n"
        "targets: [scout-sim, {name: t, provider: openai, model: m}]\n"
        f"gates: {[f'error_rate{each} <= 5%' for each in slices.values()]}\n"
    )
    found = suite(text, **overrides)
    assert [gate.text for gate in found.gates] == [
        f"error_rate{slices[name]} <= 5%" for name in kept
    ]
    said = [each for each in found.warnings if "is skipped" in each]
    assert len(said) == len(slices) - len(kept)


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        ({}, {"{temperature=0}": ["temperature"], "{temperature=1, top_p=1}": ["temperature", "top_p"]}),
        ({"temperature": 0}, {"{temperature=0}": []}),
        ({"temperature": 1}, {"{temperature=1, top_p=1}": ["top_p"]}),
        ({"temperature": 0.5}, {}),
        ({"top_p": 1}, {"{temperature=0}": ["temperature"], "{temperature=1, top_p=1}": ["temperature"]}),
    ],
)  # fmt: skip
def test_a_gate_on_a_parameter_that_the_command_line_sets_is_judged_or_skipped(
    suite: Callable[..., Suite], small: str, sampling: dict[str, Any], kept: dict[str, list[str]]
) -> None:
    gates = ["pass_rate{temperature=0} >= 50%", "pass_rate{temperature=1, top_p=1} >= 50%"]
    sweep = "sweep: {temperature: [0, 1], top_p: [0.5, 1]}"
    found = suite(f"{small}{sweep}\ngates: {gates}\n", sampling=sampling)
    assert {
        gate.text.removeprefix("pass_rate").removesuffix(" >= 50%"): list(gate.slice)
        for gate in found.gates
    } == kept
    assert sum("is skipped" in each for each in found.warnings) == 2 - len(kept)


@pytest.mark.parametrize(
    ("sampling", "sweep", "said"),
    [
        ("{temperature: 0, seed: {fixed: 1}}", "{top_p: [0.1, 0.3, 0.5, 0.7, 1]}", "25 times"),
        ("{}", "{temperature: [0, 1], top_p: [0.5, 1]}", "10 times"),
        ("{temperature: 0.1}", "{top_p: [0.5, 1]}", ""),
        ("{temperature: 0}", "{max_tokens: [1, 2]}", ""),
    ],
)
def test_a_sweep_that_changes_nothing_at_temperature_0_is_said_to(
    suite: Callable[..., Suite], sampling: str, sweep: str, said: str
) -> None:
    text = (
        "suite: s\nprompts: {user: hi}\ncases: {id: c}\ntargets: scout-sim\nrepeats: 5\n"
        f"sampling: {sampling}\nsweep: {sweep}\n"
    )
    found = [each for each in suite(text).warnings if "has no effect" in each]
    expected = f"at temperature 0, top_p has no effect, so this sweep asks each question {said}"
    assert [each.split(";")[0] for each in found] == ([expected] if said else [])


def test_the_command_line_wins(suite: Callable[..., Suite]) -> None:
    text = (
        "suite: s\nprompts: {user: hi}\ncases: {id: c}\nrepeats: 3\nsampling: {temperature: 1, top_k: 5}\n"
        "sweep: {temperature: [0, 1], seed: [1, 2]}\nrun: {concurrency: 2, budget: $1}\n"
        "targets: [scout, {name: t, provider: openai, model: m, limits: {concurrency: 3, rpm: 60}}]\n"
    )
    loaded = suite(
        text,
        targets=("t",),
        repeats=1,
        concurrency=9,
        sampling={"temperature": 0.5},
        budget=Decimal("0.1"),
    )
    assert [
        (target.name, target.limits.concurrency, target.limits.rpm) for target in loaded.targets
    ] == [("t", None, 60)]
    assert (loaded.repeats, loaded.run.concurrency, loaded.run.budget) == (1, 9, Decimal("0.1"))
    assert loaded.sampling == {"temperature": 0.5, "top_k": 5}
    assert loaded.settings == ({"seed": 1}, {"seed": 2})


def test_overrides_survive_json() -> None:
    overrides = Overrides(3, ("t",), ("tag=x",), 2, 4, {"temperature": 0.5}, Decimal("0.25"))
    assert Overrides.from_json(overrides.to_json()) == overrides
    assert Overrides.from_json({}) == Overrides() == Overrides.from_json(Overrides().to_json())


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            {"filters": ("tag=mony",)},
            "--filter: no tag is called `mony`; choose from `easy`, `even`, `hard`",
        ),
        ({"filters": ("tag=esy",)}, "--filter: no tag is called `esy`; did you mean `easy`?"),
        ({"filters": ("id=four",)}, "--filter: no case has the id `four`"),
        ({"filters": ("prompt=v2",)}, "--filter: no prompt is called `v2`"),
        ({"filters": ("tags=easy",)}, "--filter: is not a filter: 'tags=easy'"),
        ({"filters": ("tag=easy", "tag=hard")}, "--filter: nothing is left to run"),
        ({"filters": ("prompt!=prompt",)}, "--filter: nothing is left to run"),
        (
            {"targets": ("scout",)},
            "--target: the suite has no target `scout`; did you mean `scout-sim`?",
        ),
        (
            {"sampling": {"temprature": 1}},
            "--set sampling: unknown key `temprature`; did you mean `temperature`?",
        ),
        (
            {"sampling": {"temprature": 1}, "targets": ("scout-sim",)},
            "--set sampling: unknown key `temprature`",
        ),
        (
            {"sampling": {"temperature": "hot"}},
            '--set sampling: `temperature` should be a number, not "hot"',
        ),
        ({"limit": 0}, "--limit: should be 1 or more"),
        ({"repeats": 0}, "--repeats: should be 1 or more"),
        ({"concurrency": -1}, "--concurrency: should be 1 or more"),
    ],
)
def test_a_mistake_on_the_command_line_is_told(
    write: Callable, small: str, overrides: dict[str, Any], said: str
) -> None:
    with pytest.raises(SuiteError) as caught:
        load_suite(write("suites/s.yaml", small), Overrides(**overrides))
    (problem,) = caught.value.problems
    assert str(problem).startswith(said)


def test_every_problem_is_told_at_once(problems: Callable[..., list[str]]) -> None:
    found = problems(
        """\
suite: my suite
descripton: typo
prompts:
  - {id: a, sytem: hi}
  - {id: b, user: "{{ ticket }"}
cases:
  - {id: one, vars: {ticket: hi}}
  - {id: one, vars: {ticket: ho}}
  - {id: two, var: {}}
graders:
  - contians: x
targets:
  - scuot
  - {name: t, provider: openai, model: m, api_key: sk-1}
sampling: {temprature: 0.2, max_tokens: no}
sweep: {temperature: [0, 0]}
repeats: 0
run: {rpm: 0, timeout: {idle: -1s}, stream: yes}
load: {mode: open}
gates: [pass_rat >= 1, {no_drop: pass_rate}]
"""
    )
    starts = [
        "1:8: `suite`: names folders",
        "2:1: unknown key `descripton`; did you mean `description`?",
        "4:13: unknown key `sytem`; did you mean `system`?",
        "5:19: in the template",
        "8:5: the case id `one` is already at",
        "9:15: unknown key `var`; did you mean `vars`?",
        "11:5: there is no grader `contians`",
        "13:5: there is no target `scuot`",
        "14:52: `api_key`: should be the name",
        "15:12: unknown key `temprature`",
        "15:41: `max_tokens` should be a whole number",
        "16:26: `temperature` has 0.0 twice",
        "17:10: `repeats` should be",
        "18:12: `rpm` should be",
        "18:31: `idle`: should be",
        "18:45: `stream` should be true or false",
        "19:1: `load:` is not supported by this version",
        "20:9: no metric `pass_rat`",
        "20:24: the gate `no_drop:` is not supported by this version",
    ]
    for start, problem in zip(starts, found, strict=True):
        assert problem.startswith(start)


def test_a_wrong_value_hides_no_mistake_beside_it(problems: Callable[..., list[str]]) -> None:
    found = problems(
        """\
suite: s
prompts: [{id: a, user: "{{ q }}", turns: ["{{ zz }}"]}]
cases:
  - {id: one, vars: {q: x}, expected: "3:4"}
  - {id: two, vars: {q: x}, expected: 4}
graders:
  - {number: {tolerance: -1}}
  - {all: [{number: {tolerence: 1}}, {contians: x}, {length: {min: x}}]}
  - {number: {}}
targets: [scout-sim]
sweep: {temperature: [hot], zip: {top_p: [1, 0.5], max_tokens: [1]}}
gates: ['pass_rate{temperature=7} >= 20%', 'pas_rate >= 20%']
run: {timeout: {idl: 5s}, modee: batch, stream: false}
"""
    )
    starts = [
        "2:44: a turn of the prompt `a` uses `zz`, for which none of the 2 cases has a value",
        '4:5: the case `one`: the grader `number`: expected: "3:4" is not exactly one number',
        "7:26: `tolerance` should be greater than or equal to 0",
        "8:22: unknown key `tolerence`",
        "8:39: there is no grader `contians`",
        "8:68: `min` should be a whole number",
        "11:23: the item should be a number",
        "11:34: `zip` needs lists of equal length",
        "12:44: no metric `pas_rate`",
        "13:17: unknown key `idl`",
        "13:27: unknown key `modee`",
    ]
    for start, problem in zip(starts, found, strict=True):
        assert problem.startswith(start)


def test_a_misspelt_key_is_told_once(problems: Callable[..., list[str]]) -> None:
    found = problems(
        """\
suit: s
promts: [hi]
case: [{id: c}]
graders: [{regex: {patern: x}}]
targets: [{name: t, provder: openai, modl: m}]
run: {timeout: 5}
"""
    )
    assert found == [
        "1:1: unknown key `suit`; did you mean `suite`?",
        "2:1: unknown key `promts`; did you mean `prompts`?",
        "3:1: unknown key `case`; did you mean `cases`?",
        "4:20: unknown key `patern`; did you mean `pattern`?",
        "5:21: unknown key `provder`; did you mean `provider`?",
        "5:38: unknown key `modl`; did you mean `model`?",
        "6:16: `timeout`: needs a unit; write 5s or 5ms",
    ]


def test_one_mistake_of_many_cases_is_one_line(problems: Callable[..., list[str]]) -> None:
    cases = "".join(f"  - {{id: c{number}, variables: {{}}}}\n" for number in range(100))
    (found,) = problems(f"suite: s\nprompts: hi\ncases:\n{cases}targets: scout-sim\n")
    assert found.startswith("4:14: unknown key `variables`;")
    assert found.endswith("; the same in 99 more places")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: a suite is a mapping that begins with `suite: its-name`"),
        ("[]", "1:1: a suite is a mapping"),
        (
            "suite: s\ntargets: scout-sim",
            "1:1: `prompts:` is missing; give prompts and cases, or name `evals:`",
        ),
        (
            "suite: s\ntargets: scout-sim\nprompts:\ncases: [{id: c}]",
            "3:9: `prompts:` is missing; give prompts and cases",
        ),
        (
            "suite: s\nprompts:\n\t- hi\ncases: {id: c}\ntargets: scout-sim",
            "3:1: not YAML: a tab; indent with spaces",
        ),
        (
            "suite: s\nprompts: hi\nproviders: [a]\ncases: {id: c}\ntargets: scout-sim",
            "3:1: there is no key `providers` here; name what is tested under `targets:`",
        ),
        (
            "suite: s\nprompts: hi\ncases: {id: c}\ntests: [a]\ntargets: scout-sim",
            "4:1: there is no key `tests` here; put the data set under `cases:`",
        ),
        (
            "suite: s\nprompts: hi\ncases: {id: c}\ntargets: scout-sim\n"
            "graders: {contains: x, treshold: 1}",
            "5:24: unknown key `treshold`; did you mean `threshold`?",
        ),
        (
            "suite: s\nprompts: hi\ncases: {id: c}\ntargets: scout-sim\ngraders: {one_of: Paris}",
            '5:19: `values` should be a list, not "Paris"',
        ),
        (
            "suite: s\ntargets: scout-sim\nprompts: v2/hello\ncases: [{id: c}]",
            '3:10: there is no file "v2/hello"',
        ),
        (
            "suite: s\ntargets: scout-sim\nprompts: say hello.md\ncases: [{id: c}]",
            '3:10: there is no file "say hello.md"',
        ),
        (
            "suite: s\nprompts: {user: hi}\ncases: []\ntargets: scout-sim",
            "3:8: `cases` is empty; give at least one",
        ),
        ("suite: s\nprompts: {user: hi}\ncases: {id: c}\ntargets: []", "4:10: `targets` is empty"),
        (
            "suite: s\nprompts: {user: hi}\ncases: {id: c}",
            "1:1: `targets` is missing; it is the targets to test",
        ),
        (
            "suite: s\nevals: ../evals/nope\ntargets: scout-sim",
            '2:8: there is no file "../evals/nope"',
        ),
        ("suite: s\nevals: .\ntargets: scout-sim", '2:8: there is no file "eval.yaml"'),
        ("suite: s\nevals: ../..\ntargets: scout-sim", '2:8: "../.." is outside the workspace'),
        ("suite: s\nevals: /etc\ntargets: scout-sim", '2:8: "/etc" is outside the workspace'),
        ('suite: s\nevals: "a\\0b"\ntargets: scout-sim', "2:8: "),
        (
            "suite: s\njudge: x\nevals: e\ntargets: scout-sim",
            "2:1: there is no key `judge` here; name the target",
        ),
        (
            "suite: s\nbaseline: x\nevals: e\ntargets: scout-sim",
            "2:1: `baseline:` is not supported by this version",
        ),
        (
            "suite: s\nslo: x\nevals: e\ntargets: scout-sim",
            "2:1: `slo:` is not supported by this version",
        ),
    ],
)
def test_a_suite_that_is_none_is_told(
    problems: Callable[..., list[str]], text: str, said: str
) -> None:
    assert any(problem.startswith(said) for problem in problems(text)), problems(text)


@pytest.mark.parametrize(
    "key", ["cases: [{id: c}]", "response_format: json_object", "tools: t.py:f", "max_turns: 3"]
)
def test_what_cannot_stand_beside_evals_is_refused(
    problems: Callable[..., list[str]], write: Callable, key: str
) -> None:
    write("evals/e.yaml", "prompts: [{user: hi}]\ncases: [{id: c}]\n")
    (problem,) = problems(f"suite: s\nevals: ../evals/e.yaml\n{key}\ntargets: scout-sim\n")
    assert problem.startswith(
        f"3:1: `{key.split(':', maxsplit=1)[0]}:` cannot be combined with `evals:`"
    )


def test_a_symbolic_link_cannot_lead_out_of_the_workspace(
    problems: Callable[..., list[str]], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "c.csv").write_text("id\na\n")
    (tmp_path / "linked").symlink_to(outside)
    (problem,) = problems(
        "suite: s\nprompts: {user: hi}\ncases: ../linked/c.csv\ntargets: scout-sim\n"
    )
    assert "is outside the workspace" in problem


@pytest.mark.parametrize("name", ["nowhere.yaml", "suites", "x" * 5000, "a\0b"])
def test_a_suite_that_cannot_be_opened_is_a_sentence(
    write: Callable, tmp_path: Path, name: str
) -> None:
    write("suites/s.yaml", "")
    with pytest.raises(SuiteError, match=r"there is no such file|is a folder|cannot be read"):
        load_suite(tmp_path / name)


def test_gates_name_only_what_there_is(problems: Callable[..., list[str]], small: str) -> None:
    gates = [
        "{tag=esy}",
        "{target=scout}",
        "{prompt=v2}",
        "{eval=smal}",
        "{case=four}",
        "{temperature=0}",
    ]
    listed = "".join(f'  - "pass_rate{each} >= 0.5"\n' for each in gates)
    said = [problem.split("`: ")[1] for problem in problems(f"{small}gates:\n{listed}")]
    assert [each.split(";")[0] for each in said] == [
        "no tag is called `esy`",
        "no target is called `scout`",
        "no prompt is called `v2`",
        "no eval is called `smal`",
        "no case has the id `four`",
        "`temperature` is not swept, so a slice cannot use it",
    ]


@pytest.mark.parametrize(
    ("run", "gate", "said"),
    [
        ("mode: batch", "latency.p95 <= 2s", "batch answers have no latency"),
        ("mode: batch", "ttft.p50 <= 2s", "batch answers have no latency"),
        (
            "stream: false",
            "ttft.p50 <= 2s",
            "answers that are not streamed have no time to first token",
        ),
        ("stream: false", "latency.p95 <= 2s", ""),
        ("mode: batch", "cost <= $1", ""),
    ],
)
def test_a_gate_on_what_such_a_run_never_measures_is_refused(
    suite: Callable[..., Suite],
    problems: Callable[..., list[str]],
    small: str,
    run: str,
    gate: str,
    said: str,
) -> None:
    text = f"{small}run: {{{run}}}\ngates: ['{gate}']\n"
    if said:
        (problem,) = problems(text)
        assert f"the gate `{gate}`: {said}" in problem
    else:
        assert suite(text).gates


def test_gates_keep_their_place(suite: Callable[..., Suite], small: str) -> None:
    (gate,) = suite(
        small
        + "sweep: {temperature: [0, 1]}\ngates:\n  - pass_rate{temperature=1, tag=easy} >= 0.5\n"
    ).gates
    assert (gate.line, gate.column) == (13, 5)


def test_what_is_probably_not_meant_is_a_warning(suite: Callable[..., Suite]) -> None:
    text = "suite: s\nprompts: {user: hi}\ncases: {id: c}\ntargets: scout-sim\nrepeats: 2\nsampling: {seed: {fixed: 1}}\n"
    assert [warning.split(":")[0].split(",")[0] for warning in suite(text).warnings] == [
        "the eval `s` has no graders",
        "the seed is fixed",
    ]


# Fingerprints


def changed(before: Suite, after: Suite) -> set[str]:
    old, new = fingerprint_suite(before), fingerprint_suite(after)
    return {axis for axis in old if old[axis] != new[axis]}


@pytest.mark.parametrize(
    ("old", "new", "axes"),
    [
        ('user: "{{ question }}"', 'user: "Q: {{ question }}"', {"prompts"}),
        ('question: "1 + 1"', 'question: "1 + 2"', {"cases"}),
        ("equals:", "contains:", {"graders"}),
        ("targets: scout-sim", "targets: scout", {"targets"}),
        ("targets: scout-sim", "targets: scout-sim\nrepeats: 2", {"repeats"}),
        ("targets: scout-sim", "targets: scout-sim\nsampling: {top_k: 3}", {"sampling"}),
        ("targets: scout-sim", "targets: scout-sim\nsweep: {top_k: [3, 4]}", {"settings"}),
        ("targets: scout-sim", "targets: scout-sim\nresponse_format: json_object", {"prompts"}),
        ("suite: small", "suite: small\ndescription: other", set()),
        (
            "targets: scout-sim",
            "targets: scout-sim\nrun: {concurrency: 3}\ngates: [errors == 0]",
            set(),
        ),
    ],
)
def test_a_fingerprint_changes_on_the_axis_that_was_edited(
    suite: Callable[..., Suite], small: str, old: str, new: str, axes: set[str]
) -> None:
    assert changed(suite(small), suite(small.replace(old, new))) == axes


def test_a_fingerprint_does_not_depend_on_where_the_workspace_is(tmp_path: Path) -> None:
    text = "suite: s\nprompts: {user: hi}\ncases: {id: c}\ntargets: scout-sim\ngraders: {python: 'g.py:grade'}\n"
    suites = []
    for name in ("here", "there"):
        (tmp_path / name / ".git").mkdir(parents=True)
        (tmp_path / name / "g.py").write_text("def grade(answer): return True\n")
        (tmp_path / name / "s.yaml").write_text(text)
        suites.append(load_suite(tmp_path / name / "s.yaml"))
    assert describe_suite(suites[0]) == describe_suite(suites[1])
    assert changed(*suites) == set()
    (tmp_path / "there" / "g.py").write_text("def grade(answer): return False\n")
    assert changed(suites[0], load_suite(tmp_path / "there" / "s.yaml")) == {"graders"}


def test_a_resolved_suite_is_plain_json_without_the_cases_bodies(
    suite: Callable[..., Suite],
) -> None:
    plain = describe_suite(suite())
    assert json.loads(json.dumps(plain)) == plain
    assert plain["evals"][0]["prompts"] == [
        {"id": "prompt", "turns": [{"role": "user", "content": "{{ question }}"}]}
    ]
    assert "3 * 17" not in json.dumps(plain)


@pytest.mark.process
def test_loading_a_suite_imports_nothing_heavy() -> None:
    program = (
        "import sys; from pathlib import Path; from harness.suite import load_suite\n"
        f"load_suite(Path({str(REPOSITORY / 'suites' / 'quickstart.yaml')!r}))\n"
        "print(sys.modules.keys() & {'pandas', 'numpy', 'scipy', 'matplotlib', 'duckdb', 'httpx', 'rapidfuzz'})"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (
            "{type: objekt}",
            '`schema`: not a JSON Schema: $.type: there is no type "objekt"; the types are array,'
            " boolean, integer, null, number, object, string",
        ),
        (
            "{properties: [a]}",
            "`schema`: not a JSON Schema: $.properties: [\"a\"] is not of type 'object'",
        ),
        ("{type: string, pattern: '(?=x)'}", "`schema`: the pattern '(?=x)' is not in RE2 syntax"),
        (
            "{$ref: 'https://example.com/s.json'}",
            "`schema`: $ref 'https://example.com/s.json' is outside the schema",
        ),
    ],
)
def test_a_response_format_needs_a_schema_that_is_one(
    problems: Callable[..., list[str]], small: str, schema: str, why: str
) -> None:
    (found,) = problems(small + f"response_format: {{type: json_schema, schema: {schema}}}\n")
    assert found.startswith(f"11:46: {why}")


def test_a_schema_in_a_file_is_checked_too(
    write: Callable[..., Path], problems: Callable[..., list[str]], small: str
) -> None:
    write("suites/s.json", '{"type": 3}')
    (found,) = problems(small + "response_format: {type: json_schema, schema: s.json}\n")
    assert found.startswith("11:46: `schema`: not a JSON Schema: $.type")
