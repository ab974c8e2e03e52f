"""Log probabilities of tokens, as OpenAI's formats and their imitators report them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from harness.model import TokenLogprob
from harness.providers.jsontext import join_surrogates


def read(entries: Any) -> Iterator[TokenLogprob]:
    """The tokens of a list of `{token, logprob, top_logprobs}`; what is none of that is left out."""
    for entry in entries if isinstance(entries, list) else ():
        if (known := _known(entry)) is not None:
            yield TokenLogprob(*known, top=tuple(_likeliest(entry.get("top_logprobs"))))


def _likeliest(entries: Any) -> Iterator[tuple[str, float]]:
    for entry in entries if isinstance(entries, list) else ():
        if (known := _known(entry)) is not None:
            yield known


def _known(entry: Any) -> tuple[str, float] | None:
    if not isinstance(entry, dict):
        return None
    token, logprob = entry.get("token"), entry.get("logprob")
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    return (join_surrogates(token), float(logprob)) if math.isfinite(logprob) else None
