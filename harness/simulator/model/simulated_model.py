"""From a request to its reply: the answers, their tokens, and where the limits cut them.

An answer is a function of the request and its seed. Without a seed the server's own takes its place, together with how
often this very request has been seen: the first of two equal requests is answered alike in every session, and so is the
second, but not like the first. Of a request only what differs from its default counts: what the simulator learns to be asked
one day changes no answer to those who do not ask it.
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
from harness.simulator.model.types import Call, Completion, Prompt, Sampling, Turn


class SimulatedModel:
    """The simulated model; it remembers only how often it saw each request that carries no seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: Counter[bytes] = Counter()

    def reset(self) -> None:
        """Start counting occurrences from one again."""
        self._seen.clear()

    def random_key(self, prompt: Prompt) -> bytes:
        """What every draw for this request hangs on. Streaming and log probabilities have no part in it."""
        content = stable_digest(_non_default_fields(_normalize_prompt(prompt)))
        if prompt.sampling.seed is not None:
            return content
        self._seen[content] += 1
        return stable_digest(self._seed, content, self._seen[content])

    def generate_completions(self, prompt: Prompt, key: bytes, choices: int) -> tuple[Completion, ...]:
        """One answer a choice, drawn independently."""
        return tuple(_generate_completion(prompt, key, choice) for choice in range(choices))


def _generate_completion(prompt: Prompt, key: bytes, choice: int) -> Completion:
    draws: list[Draw] | None = None if prompt.logprobs is None else []
    thoughts = tokenizer.tokenize(generate_thoughts(prompt, RandomStream("thoughts", key, choice))) if prompt.reasoning else []
    calls = generate_calls(prompt, RandomStream("calls", key, choice)) if prompt.functions else ()
    if calls:
        return _truncate_calls(thoughts, calls, prompt.sampling)
    text = generate_text(prompt, RandomStream("answer", key, choice), draws)
    answer = _truncate_text(thoughts, text, prompt.sampling)
    if draws is None or prompt.logprobs is None:
        return answer
    return replace(answer, logprobs=token_logprobs(tokenizer.tokenize(text), draws, prompt.logprobs)[: len(answer.pieces)])


def _normalize_prompt(prompt: Prompt) -> Prompt:
    """The prompt as far as the model minds it: how functions are called means nothing where there are none."""
    plain = replace(prompt, turns=_without_ids(prompt.turns), logprobs=None)
    return plain if prompt.functions else replace(plain, tool_choice="auto", parallel=True)


def _non_default_fields(value: Any) -> Any:
    """A noun as the names and values of what differs from its default, and so all that is in it."""
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
    """The name and the default of each field of a dataclass or a named tuple; MISSING where it has to be given."""
    if not is_dataclass(noun):
        return tuple((name, noun._field_defaults.get(name, MISSING)) for name in noun._fields)
    return tuple(
        (each.name, each.default if each.default_factory is MISSING else each.default_factory()) for each in fields(noun)
    )


def _without_ids(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The turns as far as they mean something: the ids of calls are different in every session."""
    return tuple(
        turn._replace(calls=tuple(call._replace(id="") for call in turn.calls), call_id=None)
        if turn.calls or turn.call_id
        else turn
        for turn in turns
    )


def _truncate_text(thoughts: list[str], text: str, sampling: Sampling) -> Completion:
    """Stop sequences first, as a decoder would meet them, then the token limit, which thoughts are the first to use up."""
    stopped_by = None
    for stop in sampling.stop:
        text, found, _ = text.partition(stop)
        stopped_by = found or stopped_by
    pieces = tokenizer.tokenize(text)
    if sampling.max_tokens is None or len(thoughts) + len(pieces) <= sampling.max_tokens:
        return Completion(tuple(pieces), "stop", tuple(thoughts), stopped_by=stopped_by)
    most = max(sampling.max_tokens, 0)
    return Completion(tuple(pieces[: max(most - len(thoughts), 0)]), "length", tuple(thoughts[:most]))


def _truncate_calls(thoughts: list[str], calls: tuple[Call, ...], sampling: Sampling) -> Completion:
    """At the token limit the last call's arguments break off, and are no JSON any more."""
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
