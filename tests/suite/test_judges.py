"""Judges as a suite writes them: their rubrics, and the targets that are asked but not
under test."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.suite import Suite, fingerprint_suite

JUDGED = 'suite: s\nprompts: [{user: "{{ q }}"}]\ncases: [{id: a, vars: {q: x}, expected: y}]\ntargets: scout-sim\ngraders:\n'


def test_a_judges_rubric_may_be_a_file_and_is_a_template(
    suite: Callable[..., Suite], write: Callable[..., Path]
) -> None:
    write("suites/rubric.md", "It says {{ expected }}.\n")
    (spec,) = suite(JUDGED + "  - judge: {rubric: rubric.md, target: scout}\n").evals[0].graders
    assert spec.arguments["rubric"] == "It says {{ expected }}.\n"


def test_whom_judges_ask_is_known_wherever_they_stand(
    suite: Callable[..., Suite], write: Callable[..., Path]
) -> None:
    write(
        "suites/targets.yaml",
        "one: {provider: simulator, model: a}\ntwo: {provider: simulator, model: b}\nthree: {provider: simulator, model: c}\n",
    )
    own = '{"id": "b", "vars": {"q": "x"}, "graders": [{"judge": {"rubric": "r", "target": "three"}}]}\n'
    write("suites/cases.jsonl", own + own.replace('"b"', '"c"'))
    loaded = suite(
        JUDGED.replace("expected: y}]", "expected: y}, cases.jsonl]")
        + "  - judge: {rubric: r, target: scout-sim}\n"
        "  - any: [json, {judge: {rubric: r, target: one}}]\n"
        "  - not: {judge: {rubric: r, target: two, sampling: {temperature: 1}}}\n"
    )
    assert [spec.name for spec in loaded.targets] == ["scout-sim"]
    assert sorted(spec.name for spec in loaded.role_targets) == ["one", "scout-sim", "three", "two"]
    sampling = {asking.target: asking.sampling["temperature"] for asking in loaded.roles}
    assert sampling == {"scout-sim": 0.0, "one": 0.0, "two": 1.0, "three": 0.0}
    assert len(loaded.roles) == 4, "what two cases say alike is known once"


def test_a_suite_without_judges_has_the_fingerprint_it_always_had(
    suite: Callable[..., Suite],
) -> None:
    loaded = suite(JUDGED + "  - json\n")
    assert (loaded.roles, loaded.role_targets) == ((), ())
    assert "helpers" not in fingerprint_suite(loaded)
    assert set(
        fingerprint_suite(suite(JUDGED + "  - judge: {rubric: r, target: scout}\n"))["helpers"]
    ) == {"scout"}


@pytest.mark.parametrize(
    ("grader", "line", "message"),
    [
        ("judge", 6, "`rubric` is missing"),
        ("{judge: it is right}", 6, "judge takes a mapping of arguments, such as rubric, target"),
        ("{judge: {target: scout}}", 6, "`rubric` is missing"),
        ("{judge: {rubric: r}}", 6, "`target` is missing"),
        ("{judge: {rubric: r, target: scuot}}", 6, "there is no target `scuot`"),
        (
            "{judge: {rubric: r, target: '{{ q }}'}}",
            6,
            "a case's data must not choose the model",
        ),
        ("{judge: {rubric: gone.md, target: scout}}", 6, "there is no file"),
        ("{judge: {rubric: ../../gone.md, target: scout}}", 6, "is outside the workspace"),
        ("{judge: {rubric: gone.txt, target: scout}}", 6, "there is no file"),
        ("{judge: {rubric: '{{ q', target: scout}}", 6, "in the template"),
        ("{judge: {rubric: '{{ z }}', target: scout}}", 3, "has no value for `z`"),
        ("{judge: {rubric: r, target: scout, scale: five}}", 6, "two whole numbers such as 1-5"),
        (
            "{judge: {rubric: r, target: scout, sampling: {temprature: 1}}}",
            6,
            "did you mean `temperature`?",
        ),
        (
            "{judge: {rubric: r, target: {name: j}}}",
            6,
            '`target` should be text, not {"name": "j"}',
        ),
        ("{judge: {rubric: r, target: scout, votes: 3}}", 6, "unknown key `votes`"),
    ],
)
def test_a_wrong_judge_is_told_at_its_place(
    problems: Callable[..., list[str]], grader: str, line: int, message: str
) -> None:
    found = problems(JUDGED + f"  - {grader}\n")
    assert [int(problem.partition(":")[0]) for problem in found if message in problem] == [line], (
        found
    )


def test_a_template_that_cannot_be_read_is_told_in_the_rubrics_file(
    problems: Callable[..., list[str]], write: Callable[..., Path]
) -> None:
    write("suites/rubric.md", "It is\n{{ right\n")
    (problem,) = problems(JUDGED + "  - judge: {rubric: rubric.md, target: scout}\n")
    assert re.search(r"suites/rubric\.md:[23]: in the template", problem)
