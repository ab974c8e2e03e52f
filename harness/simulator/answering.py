"""From a request to its reply: the answers, their tokens, and where the limits cut them.

An answer is a function of the request and its seed. Without a seed the server's own takes its place, together with how
often this very request has been seen: the first of two equal requests is answered alike in every session, and so is the
second, but not like the first.
"""

from __future__ import annotations

from collections import Counter

from harness.simulator import tokens
from harness.simulator.chance import Stream, digest
from harness.simulator.nouns import Answer, Prompt, Sampling
from harness.simulator.skills import answer_text


class Model:
    """The simulated model; it remembers only how often it saw each request that carries no seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: Counter[bytes] = Counter()

    def forget(self) -> None:
        """Start counting occurrences from one again."""
        self._seen.clear()

    def key(self, prompt: Prompt) -> bytes:
        """What every draw for this request hangs on. Streaming has no part in it."""
        content = digest(prompt.model, prompt.turns, prompt.sampling, prompt.schema)
        if prompt.sampling.seed is not None:
            return content
        self._seen[content] += 1
        return digest(self._seed, content, self._seen[content])

    def answers(self, prompt: Prompt, key: bytes, choices: int) -> tuple[Answer, ...]:
        """One answer a choice, drawn independently."""
        return tuple(_cut(answer_text(prompt, Stream("answer", key, choice)), prompt.sampling) for choice in range(choices))


def _cut(text: str, sampling: Sampling) -> Answer:
    """Stop sequences first, as a decoder would meet them, then the token limit."""
    for stop in sampling.stop:
        text = text.partition(stop)[0]
    pieces = tokens.split(text)
    if sampling.max_tokens is not None and len(pieces) > sampling.max_tokens:
        return Answer(tuple(pieces[: max(sampling.max_tokens, 0)]), "length")
    return Answer(tuple(pieces), "stop")
