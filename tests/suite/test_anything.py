"""Any value in any place of a suite is taken or refused in a sentence; it is never a bug's
traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.app.prepare import load_checked_suite, prepare
from harness.errors import UsageError
from tests.properties import scale_examples

WHOLE = yaml.safe_load("""
suite: whole
description: d
prompts:
  - {id: one, system: s, user: "What is {{ q }}?", images: [], turns: [{user: "and {{ q }}", graders: [json]}, "x"]}
  - {id: two, messages: [{role: user, content: "hi {{ q }}"}]}
cases:
  - {id: a, vars: {q: 1 + 2}, expected: 3, tags: [x], threshold: 0.5, sampling: {max_tokens: 3}, tools: {t: 1}}
  - {id: b, vars: {q: 3 + 4}, expected: 7, graders: [json], tools: {t: {raises: no}}, turns: [{user: hi}]}
graders:
  - {number: {expected: "{{ expected }}", tolerance: 0.1}, weight: 2, threshold: 0.5, id: n}
  - {any: [json, {equals: x}]}
  - {not: {contains: {value: [a], mode: any}}}
  - {judge: {rubric: good, target: scout-sim, scale: 1-5, sampling: {temperature: 0}}, threshold: 0.5}
  - {tool_calls: {calls: [t, {t: {a: 1}}], match: exact, failed: 0}}
  - {length: {max: 3, unit: words}}
  - {json_schema: {type: object}}
  - {regex: {pattern: a, ignore_case: true}}
  - {latency: 2s}
  - {cost: $0.1}
  - {finish_reason: stop}
tools:
  - {name: t, description: d, parameters: {type: object, properties: {a: {type: string}}}}
  - {name: u, parameters: {type: object}, returns: "{{ q }}"}
tool_choice: auto
max_turns: 3
simulated_user: {target: scout-sim, prompt: "x {{ q }}", max_turns: 2, stop: END, sampling: {temperature: 0}}
response_format: {type: json_schema, schema: {type: object}, name: n}
targets:
  - scout-sim
  - {name: x, provider: openai, base_url: "http://h/v1", api_key: KEY, model: m, headers: {a: b}, extra_body: {z: 1},
     sampling: {top_p: 0.5}, limits: {concurrency: 2, rpm: 3, retries: 1, timeout: {connect: 1s, total: 3s}},
     price: {input: 1, output: 2}, context: 1000, unsupported: drop}
  - {name: y, provider: simulator, model: llama-4-scout, price: {input: 1, output: 1},
     simulator: {api: openai, seed: 1, ttft: 1ms, faults: [{kind: status, status: 429, rate: 0.1, requests: [1, "2-3"]}]}}
sampling: {temperature: 0, max_tokens: 16, stop: [x], seed: {fixed: 3}}
sweep: {top_p: [0.5, 1], zip: {frequency_penalty: [0, 1], presence_penalty: [0, 1]}, include: [{temperature: 1}]}
repeats: 2
run: {concurrency: 3, tpm: 20k, timeout: {first: 2s, total: 9s}, budget: $1, unsupported: drop, max_error_rate: 5%}
gates: ["pass_rate >= 50%", "latency.p95{target=x} <= 2s"]
strict: false
""")
"""A suite with nearly every key the language has."""

ODD: tuple[Any, ...] = (
    None, True, 3, -1, 1.5, 10**30, "x", "", "{{ q }}", "{{", "9" * 40, [], [1], ["x"], [None], [[]], {}, {"x": 1}, [{"x": 1}],
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in a document."""
    yield at
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, part in parts:
        yield from places(part, (*at, key))


def with_odd(at: tuple[Any, ...], odd: Any) -> Any:
    """The whole suite with another value in one place."""
    if not at:
        return odd
    document = copy.deepcopy(WHOLE)
    holder = document
    for part in at[:-1]:
        holder = holder[part]
    holder[at[-1]] = odd
    return document


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite file in a workspace of its own."""
    return tmp_path_factory.mktemp("anything") / "s.yaml"


def test_the_whole_suite_is_right(path: Path) -> None:
    path.write_text(json.dumps(WHOLE))
    with prepare(load_checked_suite(path), {}, live=False) as ready:
        assert len(ready.targets) == 3


@settings(
    max_examples=scale_examples(250), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.sampled_from(list(places(WHOLE))), odd=st.sampled_from(ODD))
@example(at=("run",), odd=["x"])
@example(at=("run",), odd=[])
@example(at=("sampling",), odd=[1])
@example(at=("description",), odd=["x"])
@example(at=("strict",), odd=[None])
@example(at=("graders", 4, "tool_calls"), odd=[1])
@example(at=("graders", 4, "tool_calls", "calls", 0), odd=[{"x": 1}])
def test_any_value_in_any_place_is_taken_or_refused_in_a_sentence(
    path: Path, at: tuple[Any, ...], odd: Any
) -> None:
    path.write_text(json.dumps(with_odd(at, odd)))
    try:
        with prepare(load_checked_suite(path), {}, live=False) as ready:
            assert next(ready.plan.trials(ready.targets[0])).key
    except UsageError as refused:
        assert all(line.startswith(str(path)) for line in str(refused).splitlines()), refused
