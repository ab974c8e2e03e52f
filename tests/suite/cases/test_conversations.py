"""Conversations of any length out of a case: `messages: "{{ input }}"`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.app.prepare import prepare
from harness.model import Message, ToolCall
from harness.suite import Suite, fingerprint_suite, load_suite

SUITE = """\
suite: s
prompts: [{messages: "{{ input }}"}]
cases: samples.jsonl
graders: [{one_of: "{{ expected }}"}]
targets: scout-sim
"""
SHORT = [{"role": "user", "content": "1 + 1"}]
LONG = [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "2 + 2"}, {"role": "assistant", "content": "4"},
        {"role": "user", "content": [{"type": "text", "text": "3 + "}, {"type": "text", "text": "3"}]}]  # fmt: skip
CALLING = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}]}  # fmt: skip
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "2"}
SAMPLES = [{"input": SHORT, "ideal": ["2", "two"]}, {"input": LONG, "ideal": ["6"]}]


def jsonl(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_rows_of_openai_evals_are_asked_as_they_are(write: Callable[..., Path]) -> None:
    write("suites/samples.jsonl", jsonl(SAMPLES))
    with prepare(load_suite(write("suites/s.yaml", SUITE)), {}, live=False) as ready:
        asked = {trial.identity.case: trial for trial in ready.plan.trials(ready.targets[0])}
    short, long = sorted(asked.values(), key=lambda trial: len(trial.request.messages))
    assert short.request.messages == (Message("user", "1 + 1"),)
    assert short.expected == ["2", "two"]
    assert [(message.role, message.content) for message in long.request.messages] == [
        ("system", "Be terse."),
        ("user", "2 + 2"),
        ("assistant", "4"),
        ("user", "3 + 3"),
    ]


def test_tool_calls_and_their_results_are_sent_as_they_are(write: Callable[..., Path]) -> None:
    write("suites/samples.jsonl", jsonl([{"input": [*SHORT, CALLING, RESULT], "ideal": "2"}]))
    with prepare(load_suite(write("suites/s.yaml", SUITE)), {}, live=False) as ready:
        (trial,) = ready.plan.trials(ready.targets[0])
    assert trial.request.messages == (
        Message("user", "1 + 1"),
        Message("assistant", tool_calls=(ToolCall("call_1", "add", '{"a": 1}'),)),
        Message("tool", "2", tool_call_id="call_1"),
    )


def test_share_gpt_s_turns_and_a_part_of_a_conversation(
    suite: Callable[..., Suite], write: Callable[..., Path]
) -> None:
    turns = [{"from": "human", "value": "1 + 1"}, {"from": "gpt", "value": "2"}]
    write("suites/samples.jsonl", jsonl([{"conversations": turns}]))
    text = SUITE.replace('"{{ input }}"', '"{{ conversations[:-1] }}"').replace(
        "samples.jsonl",
        '{file: samples.jsonl, expected: ["{{ conversations[-1].value }}"]}',
    )
    evaluation = suite(text).evals[0]
    assert evaluation.prompts[0].render(evaluation.cases[0].vars) == (Message("user", "1 + 1"),)
    assert evaluation.cases[0].expected == ["2"]


def test_the_expression_is_in_the_fingerprint(
    suite: Callable[..., Suite], write: Callable[..., Path]
) -> None:
    write("suites/samples.jsonl", jsonl(SAMPLES))
    one, other = (
        fingerprint_suite(suite(SUITE.replace("{{ input }}", text)))["prompts"]
        for text in ("{{ input }}", "{{ input[:1] }}")
    )
    assert one != other


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ("hi", 'a conversation is a list of turns, such as [{role: user, content: …}], not "hi"'),
        ([], "a conversation is a list of turns"),
        (["hi"], 'turn 1 should be {role: …, content: …}, not "hi"'),
        ([{"role": "function", "content": "x"}], 'turn 1 has the role "function"'),
        ([{"role": "tool", "content": "x"}], "turn 1 has the role tool, so it needs the `tool_call_id`"),
        ([{"role": "tool", "content": "x", "tool_call_id": "a"}], 'turn 1 answers the call "a", which no turn'),
        ([CALLING], 'the call "call_1" has no result'),
        ([CALLING, *SHORT, RESULT], 'the call "call_1" has no result'),
        ([{**CALLING, "role": "user"}, RESULT], "turn 1: `tool_calls` should be a list in a turn of"),
        ([{**CALLING, "function_call": {"name": "f"}}], "turn 1 has a `function_call`; write it as"),
        ([{"role": "user", "content": None}], "turn 1 should have text as its content, not null"),
        ([*SHORT, {"role": "user", "content": [{"type": "image_url"}]}], "turn 2 contains an image, which"),
        ([*SHORT, {"role": "user", "content": [{"type": "audio"}]}], "turn 2 should have text"),
        ([{"role": "assistant", "content": "", "tool_calls": [{}]}], "turn 1: a tool call should be {id: …"),
    ],
)  # fmt: skip
def test_what_is_no_conversation_is_told_with_its_row(
    problems: Callable[..., list[str]], write: Callable[..., Path], turns: Any, said: str
) -> None:
    write("suites/samples.jsonl", jsonl([{"vars": {"input": turns}, "expected": ["x"]}]))
    (problem,) = problems(SUITE)
    assert "samples.jsonl:1: the case" in problem
    assert said in problem


def test_messages_are_a_list_or_an_expression(problems: Callable[..., list[str]]) -> None:
    text = SUITE.replace("samples.jsonl", "{vars: {input: []}, expected: [x]}")
    assert "`messages` must be a list of messages, or one {{ expression }}" in problems(text.replace("{{ input }}", "say {{ input }}"))[0]  # fmt: skip
    assert "`messages` should be a plain value or a list" in problems(text.replace('"{{ input }}"', "{a: 1}"))[0]  # fmt: skip
