"""The simulated model's tokenizer: lossless, by one regular expression.

A word of up to six letters is one token together with the blank before it; longer words, digits
(three at a time) and punctuation are split as byte-pair encoders tend to. Counts are exact for this
model and near those of real ones for English: about 4.5 characters a token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import orjson

from harness.simulator.model.images import image_size
from harness.simulator.model.types import Function, Turn

PIECE = re.compile(r" ?[^\W\d_]{1,6}|\d{1,3}| ?[^\w\s]{1,2}|_+|\s{1,8}")

TILE = 336
MOST_TILES = 16
PATCHES = 144
"""Tokens of one tile in Llama 4: 14-pixel patches, four of them joined."""


def tokenize(text: str) -> list[str]:
    """The tokens of `text`, in order; joined they are `text` again."""
    return PIECE.findall(text)


@lru_cache(maxsize=512)
def _count_text(text: str) -> int:
    """Cached, since many requests share their system prompt."""
    return len(tokenize(text))


def count_prompt(turns: Sequence[Turn], functions: Sequence[Function] = ()) -> int:
    """Tokens of a chat in Llama 4's template: 1 + 5 per message + 4 (the header of the answer) +
    text, images, calls and functions."""
    body = sum(
        _count_text(turn.text)
        + sum(map(count_image, turn.images))
        + sum(1 + len(call.pieces) for call in turn.calls)
        for turn in turns
    )
    return (
        1
        + 5 * len(turns)
        + 4
        + body
        + sum(_count_text(orjson.dumps(tuple(function)).decode()) for function in functions)
    )


def count_image(file: bytes) -> int:
    """Tokens of an image in Llama 4's layout; a single tile if its size cannot be read.

    Start, the tiles with a separator after each, the whole image once more if it was tiled, end.
    """
    rows, columns = _tile_grid(image_size(file) or (1, 1))
    cut_up = (PATCHES + 1) * rows * columns if rows * columns > 1 else 0
    return 1 + cut_up + 1 + PATCHES + 1


@lru_cache(maxsize=512)
def _tile_grid(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of tiles: the smallest upscaling, else the smallest downscaling; of equal
    ones the fewest tiles."""
    width, height = size
    grids = [
        (rows, columns) for rows in range(1, MOST_TILES + 1) for columns in range(1, MOST_TILES + 1)
    ]
    scales = {
        (rows, columns): min(columns * TILE / width, rows * TILE / height)
        for rows, columns in grids
        if rows * columns <= MOST_TILES
    }
    enlarging = [scale for scale in scales.values() if scale >= 1]
    best = min(enlarging) if enlarging else max(scales.values())
    return min(
        (grid for grid, scale in scales.items() if scale == best),
        key=lambda grid: grid[0] * grid[1],
    )
