"""Token log probabilities in the OpenAI-shaped form; other formats build theirs with `token_logprob`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.model import TokenLogprob
from harness.providers.json_text import finite_number, join_surrogates


def read_logprobs(entries: Any) -> Iterator[TokenLogprob]:
    """The tokens of a list of `{token, logprob, top_logprobs}`; what is none of that is left out."""
    for entry in entries if isinstance(entries, list) else ():
        if (chosen := _entry_logprob(entry)) is not None:
            yield TokenLogprob(*chosen, top=tuple(_top_logprobs(entry.get("top_logprobs"))))


def token_logprob(token: Any, logprob: Any) -> tuple[str, float] | None:
    """A token and its log probability, None where they are none."""
    likely = finite_number(logprob)
    return (join_surrogates(token), likely) if isinstance(token, str) and likely is not None else None


def _top_logprobs(entries: Any) -> Iterator[tuple[str, float]]:
    for entry in entries if isinstance(entries, list) else ():
        if (other := _entry_logprob(entry)) is not None:
            yield other


def _entry_logprob(entry: Any) -> tuple[str, float] | None:
    return token_logprob(entry.get("token"), entry.get("logprob")) if isinstance(entry, dict) else None
