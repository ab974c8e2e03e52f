"""From a prompt to its completions: text or calls, split into tokens and truncated at the limits.

A completion is a function of the prompt and its seed. Without a seed, the server's seed and the
number of times this prompt has been seen take its place: the nth of several equal requests gets the
same answer in every session, and a different one from the first. Only fields that differ from their
default enter the key, so that a new optional field does not change the answers to requests that do
not use it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from typing import Any

from harness.simulator.model import tokenizer
from harness.simulator.model.logprobs import Draw, token_logprobs
from harness.simulator.model.rng import RandomStream, stable_digest
from harness.simulator.model.skills import generate_calls, generate_text, generate_thoughts
from harness.simulator.model.types import Call, Completion, Prompt, Sampling


class SimulatedModel:
    """The simulated model; its only state is how often each prompt without a seed was seen."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: Counter[bytes] = Counter()

    def reset(self) -> None:
        """Forget how often each prompt was seen."""
        self._seen.clear()

    def random_key(self, prompt: Prompt) -> bytes:
        """The key of every draw for this prompt; independent of streaming and of whether log
        probabilities are asked for."""
        content = stable_digest(_non_default_fields(_normalize_prompt(prompt)))
        if prompt.sampling.seed is not None:
            return content
        self._seen[content] += 1
        return stable_digest(self._seed, content, self._seen[content])

    def generate_completions(
        self, prompt: Prompt, key: bytes, choices: int
    ) -> tuple[Completion, ...]:
        """Independent completions, one for each choice."""
        return tuple(_generate_completion(prompt, key, choice) for choice in range(choices))


def _generate_completion(prompt: Prompt, key: bytes, choice: int) -> Completion:
    draws: list[Draw] | None = None if prompt.logprobs is None else []
    thoughts = (
        tokenizer.tokenize(generate_thoughts(prompt, RandomStream("thoughts", key, choice)))
        if prompt.reasoning
        else []
    )
    calls = generate_calls(prompt, RandomStream("calls", key, choice)) if prompt.functions else ()
    if calls:
        return _truncate_calls(thoughts, calls, prompt.sampling)
    text = generate_text(prompt, RandomStream("answer", key, choice), draws)
    answer = _truncate_text(thoughts, text, prompt.sampling)
    if draws is None or prompt.logprobs is None:
        return answer
    return replace(
        answer,
        logprobs=token_logprobs(tokenizer.tokenize(text), draws, prompt.logprobs)[
            : len(answer.pieces)
        ],
    )


def _normalize_prompt(prompt: Prompt) -> Prompt:
    """The prompt without what does not matter to the model: `tool_choice` and `parallel` without
    functions, the ids of calls (which differ in every session), log probabilities."""
    turns = tuple(
        turn._replace(calls=tuple(call._replace(id="") for call in turn.calls), call_id=None)
        if turn.calls or turn.call_id
        else turn
        for turn in prompt.turns
    )
    plain = replace(prompt, turns=turns, logprobs=None)
    return plain if prompt.functions else replace(plain, tool_choice="auto", parallel=True)


def _non_default_fields(value: Any) -> Any:
    """The names and values of a noun's fields that differ from their default, recursively."""
    if is_dataclass(value) or hasattr(value, "_fields"):
        noun: Any = type(value)
        members = ((name, getattr(value, name), default) for name, default in _field_defaults(noun))
        return tuple(
            [
                (name, _non_default_fields(member))
                for name, member, default in members
                if default is MISSING or member != default
            ]
        )
    return tuple(map(_non_default_fields, value)) if isinstance(value, tuple) else value


@cache
def _field_defaults(noun: Any) -> tuple[tuple[str, Any], ...]:
    """The name and default of each field of a dataclass or named tuple; MISSING for a
    required one."""
    if not is_dataclass(noun):
        return tuple((name, noun._field_defaults.get(name, MISSING)) for name in noun._fields)
    return tuple(
        (each.name, each.default if each.default_factory is MISSING else each.default_factory())
        for each in fields(noun)
    )


def _truncate_text(thoughts: list[str], text: str, sampling: Sampling) -> Completion:
    """Cut at the first stop sequence, as a decoder would, then at the token limit; thoughts use up
    the limit first."""
    stopped_by = None
    for stop in sampling.stop:
        text, found, _ = text.partition(stop)
        stopped_by = found or stopped_by
    pieces = tokenizer.tokenize(text)
    if sampling.max_tokens is None or len(thoughts) + len(pieces) <= sampling.max_tokens:
        return Completion(tuple(pieces), "stop", tuple(thoughts), stopped_by=stopped_by)
    most = max(sampling.max_tokens, 0)
    return Completion(
        tuple(pieces[: max(most - len(thoughts), 0)]), "length", tuple(thoughts[:most])
    )


def _truncate_calls(thoughts: list[str], calls: tuple[Call, ...], sampling: Sampling) -> Completion:
    """Cut at the token limit, where the last call's arguments break off and are no longer valid
    JSON."""
    left = math.inf if sampling.max_tokens is None else sampling.max_tokens - len(thoughts)
    if left < 0:
        return Completion((), "length", tuple(thoughts[: sampling.max_tokens]))
    kept: list[Call] = []
    for call in calls:
        left -= 1
        if left < len(call.pieces):
            kept += [call._replace(pieces=call.pieces[: int(left)])] if left >= 0 else []
            return Completion((), "length", tuple(thoughts), tuple(kept))
        kept.append(call)
        left -= len(call.pieces)
    return Completion((), "tool_calls", tuple(thoughts), tuple(kept))
