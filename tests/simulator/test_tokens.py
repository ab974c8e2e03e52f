from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.simulator.nouns import Turn
from harness.simulator.tokens import count_prompt, split


@given(st.text())
def test_the_pieces_of_any_text_join_to_it(text: str) -> None:
    assert "".join(split(text)) == text


def test_words_take_the_blank_before_them_and_long_ones_are_split() -> None:
    assert split("The answer is 1234, internationally.") == [
        "The", " answer", " is", " ", "123", "4", ",", " intern", "ationa", "lly", ".",
    ]  # fmt: skip


def test_a_chat_costs_one_and_four_tokens_and_five_a_message() -> None:
    assert count_prompt([Turn("system", "Be brief."), Turn("user", "Hi")]) == 1 + 5 * 2 + 4 + len(split("Be brief.")) + 1


def test_an_image_is_one_tile() -> None:
    assert count_prompt([Turn("user", "", images=(b"", b""))]) - count_prompt([Turn("user", "")]) == 2 * 147
