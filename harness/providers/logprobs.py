"""Log probabilities of tokens, as OpenAI's formats and their imitators report them; other formats read theirs with `known`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.model import TokenLogprob
from harness.providers.json_text import finite, join_surrogates


def read(entries: Any) -> Iterator[TokenLogprob]:
    """The tokens of a list of `{token, logprob, top_logprobs}`; what is none of that is left out."""
    for entry in entries if isinstance(entries, list) else ():
        if (chosen := _of_entry(entry)) is not None:
            yield TokenLogprob(*chosen, top=tuple(_likeliest(entry.get("top_logprobs"))))


def known(token: Any, logprob: Any) -> tuple[str, float] | None:
    """A token and its log probability, None where they are none."""
    likely = finite(logprob)
    return (join_surrogates(token), likely) if isinstance(token, str) and likely is not None else None


def _likeliest(entries: Any) -> Iterator[tuple[str, float]]:
    for entry in entries if isinstance(entries, list) else ():
        if (other := _of_entry(entry)) is not None:
            yield other


def _of_entry(entry: Any) -> tuple[str, float] | None:
    return known(entry.get("token"), entry.get("logprob")) if isinstance(entry, dict) else None
