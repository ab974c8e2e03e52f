from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.pricing.tiles import tile_grid
from harness.simulator.model.tokenizer import _tile_grid, count_image, count_prompt, tokenize
from harness.simulator.model.types import Turn
from tests.pictures import picture


@given(st.text())
def test_the_pieces_of_any_text_join_to_it(text: str) -> None:
    assert "".join(tokenize(text)) == text


def test_words_take_the_blank_before_them_and_long_ones_are_split() -> None:
    assert tokenize("The answer is 1234, internationally.") == [
        "The", " answer", " is", " ", "123", "4", ",", " intern", "ationa", "lly", ".",
    ]  # fmt: skip


def test_a_chat_costs_one_and_four_tokens_and_five_a_message() -> None:
    assert (
        count_prompt([Turn("system", "Be brief."), Turn("user", "Hi")])
        == 1 + 5 * 2 + 4 + len(tokenize("Be brief.")) + 1
    )


def test_an_image_that_cannot_be_read_is_one_tile() -> None:
    assert (
        count_prompt([Turn("user", "", images=(b"", b""))]) - count_prompt([Turn("user", "")])
        == 2 * 147
    )


@pytest.mark.parametrize(
    ("size", "tiles"),
    [((64, 64), 1), ((400, 300), 2), ((672, 672), 4), ((1000, 1000), 9), ((5000, 4900), 16)],
)
def test_a_larger_image_is_cut_up_and_shown_whole_besides(
    size: tuple[int, int], tiles: int
) -> None:
    assert count_image(picture(size=size)) == (147 if tiles == 1 else 147 + 145 * tiles)


@given(st.integers(1, 6000), st.integers(1, 6000))
def test_the_two_readings_of_the_tile_rule_agree(width: int, height: int) -> None:
    rows, columns = tile_grid(width, height)
    assert math.prod(_tile_grid((width, height))) == rows * columns
