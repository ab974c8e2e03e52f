"""The simulated model's own tokenizer: text into pieces and back, without loss.

Words of up to six letters are one piece with the blank before them; longer words, digits (three at a time) and punctuation
are split as byte-pair encoders tend to. Counts are therefore exact for this model, and near those of real ones for
English: about 4.5 characters a token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import orjson

from harness.simulator.nouns import Function, Turn

PIECE = re.compile(r" ?[^\W\d_]{1,6}|\d{1,3}| ?[^\w\s]{1,2}|_+|\s{1,8}")

IMAGE_TOKENS = 147
"""One 336-pixel tile of Llama 4: 144 patches and 3 markers."""


def split(text: str) -> list[str]:
    """The pieces of `text`, in order; joined they are `text` again."""
    return PIECE.findall(text)


@lru_cache(maxsize=512)
def _count(text: str) -> int:
    """Kept for a while, since many requests share their system prompt."""
    return len(split(text))


def count_prompt(turns: Sequence[Turn], functions: Sequence[Function] = ()) -> int:
    """Tokens of a chat in Llama 4's template: 1 + 5 a message + 4 (the header of the answer) + text, images, calls, tools."""
    body = sum(_count(turn.text) + IMAGE_TOKENS * len(turn.images) + _count_calls(turn) for turn in turns)
    return 1 + 5 * len(turns) + 4 + body + sum(_count(orjson.dumps(tuple(function)).decode()) for function in functions)


def _count_calls(turn: Turn) -> int:
    return sum(1 + len(call.pieces) for call in turn.calls)
