"""Tool results in the conversation so far, and the answer in words from them.

The answer has the values whose names the question mentions, else all values; the likeliest mistake
is to read the wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from harness.simulator.model.skills.difficulty import (
    TextGenerator,
    answer_margin,
    competing_candidates,
)
from harness.simulator.model.skills.lexicon import stems
from harness.simulator.model.skills.prompt_features import find_features
from harness.simulator.model.types import Call, Prompt, Turn

EASE = -1.0
"""The penalty of reading a result, negative: it is easier than a calculation."""
MOST_FACTS = 40


class Fact(NamedTuple):
    """A value in a result as text, its name, and the function that returned it."""

    name: str
    value: str
    source: str


class Result(NamedTuple):
    """A call and what it returned: every value with its name, or `failed` with the reason as
    `text`."""

    call: Call
    text: str
    failed: bool
    facts: tuple[Fact, ...]


def tool_results(prompt: Prompt, *, last_user: bool = True) -> tuple[Result, ...]:
    """The results in order: since the last user turn, or of the whole conversation."""
    users = (
        [index for index, turn in enumerate(prompt.turns) if turn.role == "user"]
        if last_user
        else []
    )
    return tuple(_match_results(prompt.turns[users[-1] + 1 if users else 0 :]))


def _match_results(turns: Sequence[Turn]) -> Iterator[Result]:
    """Match tool turns to calls by id, else in order."""
    open_calls: list[Call] = []
    for turn in turns:
        if turn.calls:
            open_calls = list(turn.calls)
        elif turn.call_id is not None or turn.role in ("tool", "function"):
            call = next((each for each in open_calls if each.id and each.id == turn.call_id), None)
            if call is None and open_calls:
                call = open_calls[0]
            if call is not None:
                open_calls.remove(call)
                yield _parse_result(call, turn.text)


def _parse_result(call: Call, text: str) -> Result:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("error"), str):
        return Result(call, value["error"], True, ())
    if isinstance(value, str) and value.lower().startswith("error"):
        return Result(call, value.partition(":")[2].strip() or value, True, ())
    return Result(call, text, False, tuple(_flatten_value(value, "", call.name))[:MOST_FACTS])


def _flatten_value(value: Any, name: str, source: str) -> Iterator[Fact]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _flatten_value(member, str(key), source)
    elif isinstance(value, list):
        for item in value:
            yield from _flatten_value(item, name, source)
    else:
        yield Fact(name, value if isinstance(value, str) else json.dumps(value), source)


def describe_results(prompt: Prompt, results: Sequence[Result]) -> TextGenerator:
    """The answer in words, sampled result by result."""
    sentences: list[str] = []
    for result in final_results(results):
        sentences.append((yield from _result_sentence(prompt, result)))  # noqa: PERF401 - no comprehension may yield
    return " ".join(sentences)


def final_results(results: Sequence[Result]) -> list[Result]:
    """The results to report: not those that only served a later call."""
    return [
        result
        for index, result in enumerate(results)
        if not any(_is_used_by(result, later.call) for later in results[index + 1 :])
    ]


def _is_used_by(result: Result, call: Call) -> bool:
    """Whether the call's arguments contain a value that the result supplied."""
    mentioned = {fact.value for fact in result.facts} - set(_argument_values(result.call))
    return bool(mentioned & set(_argument_values(call)))


def _argument_values(call: Call) -> list[str]:
    try:
        return [fact.value for fact in _flatten_value(json.loads(call.arguments), "", call.name)]
    except (ValueError, RecursionError):
        return []


def _result_sentence(prompt: Prompt, result: Result) -> TextGenerator:
    if result.failed:
        return (
            yield competing_candidates(
                f"That did not work: {result.text}", 3.0, ["I could not find that out."]
            )
        )
    wanted, known = stems(prompt.question), set(_argument_values(result.call))
    news = [fact for fact in result.facts if fact.value not in known] or list(result.facts)
    asked = [fact for fact in news if stems(_spoken_name(fact.name)) & wanted] or news
    others = [fact for fact in (*news, *result.facts) if fact not in asked]
    terse = find_features(prompt).terse
    right = _list_facts(asked, terse)
    logit = answer_margin(prompt, f"{result.call.name}\n{prompt.question}", penalty=EASE)
    sentence = yield competing_candidates(
        right, logit, [_list_facts([fact], terse) for fact in (others or asked)[:3]]
    )
    return sentence if terse or sentence.endswith(".") else f"{sentence}."


def _list_facts(facts: Sequence[Fact], terse: bool) -> str:
    if not facts:
        return "Done"
    if len(facts) == 1:
        name = _spoken_name(facts[0].name)
        plural = name.endswith("s") and not name.endswith(("ss", "us"))
        return (
            facts[0].value if terse else f"The {name} {'are' if plural else 'is'} {facts[0].value}"
        )
    return ", ".join(
        fact.value if terse else f"{_spoken_name(fact.name)} {fact.value}" for fact in facts
    )


def _spoken_name(name: str) -> str:
    return name.replace("_", " ") or "answer"
