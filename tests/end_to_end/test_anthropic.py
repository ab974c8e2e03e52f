"""A run against the simulated Messages API, and what is found wrong before one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import load_run
from tests.support import Command

SUITE = """
suite: sums
prompts: [{{system: Answer with the number only., user: "What is {{{{ question }}}}?"}}]
cases:
  - {{id: one, vars: {{question: 6 * 7}}, expected: 42}}
  - {{id: two, vars: {{question: 8 + 5}}, expected: 13}}
graders: [number]
targets:
  - {{name: claude, provider: simulator, model: {model}, simulator: {{api: anthropic, ttft: 0, inter_token: 0}}{more}}}
sampling: {{{sampling}}}
"""


def write(folder: Path, sampling: str, model: str = "claude-sonnet-4-6", more: str = "") -> Path:
    path = folder / "suites" / "sums.yaml"
    path.parent.mkdir()
    path.write_text(SUITE.format(sampling=sampling, model=model, more=more))
    return path


@pytest.mark.parametrize(
    ("sampling", "more"),
    [
        ("temperature: 0, max_tokens: 16", ""),
        ("reasoning_effort: low, max_tokens: 400", ", api_version: 2026-10-21"),
    ],
    ids=["older", "newer"],
)
def test_a_run(cli: Command, sampling: str, more: str) -> None:
    ended = cli("run", write(cli.folder, sampling, more=more), "--out", "run")
    assert ended.code == 0, ended.err
    trials = load_run(cli.folder / "run").trials
    assert trials["passed"].notna().all()
    if (
        "temperature" in sampling
    ):  # the newer version has none, so that its answers are drawn and may be wrong
        assert list(trials["passed"]) == [True, True]
    assert set(trials["tokens_source"]) == {"reported"}
    priced = (
        trials["input_tokens"] * 3 + trials["output_tokens"] * 15
    ) / 1e6  # what Claude Sonnet 4.6 costs
    assert list(trials["cost"]) == pytest.approx(list(priced))
    thought = trials["output_tokens"] > 10  # the answer alone has fewer tokens
    assert list(thought) == ["effort" in sampling] * 2


@pytest.mark.parametrize(
    ("sampling", "model", "more", "said"),
    [
        (
            "temperature: 0",
            "claude-sonnet-4-6",
            ", api_version: 2026-10-21",
            "does not support temperature",
        ),
        ("temperature: 0.5", "claude-opus-5", "", "supports temperature only at 1, not 0.5"),
        (
            "temperature: 0, top_p: 0.5",
            "claude-sonnet-4-6",
            "",
            "does not support temperature together with top_p",
        ),
        ("seed: 1", "claude-sonnet-4-6", "", "does not support seed"),
        (
            "max_tokens: 9",
            "claude-sonnet-4-6",
            ", api_version: 2023-06-02",
            "did you mean `2023-06-01`?",
        ),
    ],
)
def test_what_is_wrong_is_found_before_the_run(
    cli: Command, sampling: str, model: str, more: str, said: str
) -> None:
    ended = cli("run", write(cli.folder, sampling, model, more))
    assert (ended.code, said in ended.err) == (2, True), ended.err


FORMS = """
suite: forms
prompts:
  - messages: [{role: user, content: Hi}, {role: assistant, content: Hello}, {role: system, content: Be brief.}, {role: user, content: Go on}]
cases: [{id: one}]
response_format: {type: json_object}
targets: [{name: claude, provider: simulator, model: claude-sonnet-4-6, simulator: {api: anthropic}}]
"""


def test_forms_the_api_has_not_are_refused_with_their_place(cli: Command) -> None:
    path = cli.folder / "forms.yaml"
    path.write_text(FORMS)
    ended = cli("run", path)
    assert ended.code == 2
    assert (
        "forms.yaml:4:5: target 'claude': claude-sonnet-4-6 on anthropic accepts system messages only before the first"
        in ended.err
    )
    assert (
        "forms.yaml:6:1: target 'claude': claude-sonnet-4-6 on anthropic has no JSON mode without a schema"
        in ended.err
    )


TOOLS = """
suite: weather
prompts: [{user: "What is the current weather in the city {{ city }}?"}]
cases: [{id: oslo, vars: {city: Oslo}, expected: "17"}]
tools:
  - name: get_weather
    description: Current weather in a city
    parameters: {type: object, properties: {city: {type: string, description: City}}, required: [city]}
    returns: {temperature: 17}
graders: [{contains: "{{ expected }}"}]
targets: [{name: claude, provider: simulator, model: claude-opus-5, simulator: {api: anthropic, ttft: 0, inter_token: 0}}]
sampling: {max_tokens: 500, reasoning_effort: low}
"""


def test_signed_thoughts_survive_a_tool_loop_the_disk_and_a_replay(cli: Command) -> None:
    path = cli.folder / "weather.yaml"
    path.write_text(TOOLS)
    cli.record(path)
    exchanges = load_run(cli.folder / "run").exchanges
    assert list(exchanges["finish_reason"]) == ["tool_calls", "stop"]
    assert list(load_run(cli.folder / "run").trials["passed"]) == [True]
    replayed = cli(
        "run", path, "--replay-only", "run", "--out", "again"
    )  # the key of a replay is the bytes that were sent
    assert (replayed.code, "2 reused, 0 new" in replayed.err + replayed.out) == (0, True), (
        replayed.err
    )


VISION = """
suite: colours
prompts: [{user: "{{ question }}", images: "{{ pictures }}"}]
cases:
  - {id: triangle, vars: {pictures: [colour-01.png], question: What colour is the triangle?}, expected: purple}
  - {id: circle, vars: {pictures: [colour-03.png], question: What colour is the circle?}, expected: blue}
graders: [{icontains: "{{ expected }}"}]
targets: [{name: claude, provider: simulator, model: claude-sonnet-4-6, simulator: {api: anthropic, ttft: 0, inter_token: 0}}]
sampling: {max_tokens: 50, temperature: 0}
"""
PICTURES = Path(__file__).parents[2] / "evals" / "shapes" / "pictures"


def test_pictures_arrive_and_are_looked_at(cli: Command) -> None:
    for name in ("colour-01.png", "colour-03.png"):
        (cli.folder / name).write_bytes((PICTURES / name).read_bytes())
    path = cli.folder / "colours.yaml"
    path.write_text(VISION)
    cli.record(path)
    trials = load_run(cli.folder / "run").trials
    assert list(trials["passed"]) == [True, True], list(trials["answer"])
