"""Counted nouns and the verbs that follow them."""

from __future__ import annotations

import pytest

from harness.wording import pluralize


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("answer",), "0 answers"),
        (1, ("answer",), "1 answer"),
        (1, ("answer", "shows"), "1 answer shows"),
        (2, ("answer", "shows"), "2 answers show"),
        (1, ("answer", "is"), "1 answer is"),
        (2000, ("answer", "is"), "2,000 answers are"),
        (2, ("query", "has"), "2 queries have"),
        (2, ("key", "was"), "2 keys were"),
        (2, ("batch",), "2 batches"),
        (2, ("cached answer", "does"), "2 cached answers do"),
    ],
)
def test_the_noun_and_the_verb_agree_with_the_number(
    number: int, words: tuple[str, ...], text: str
) -> None:
    assert pluralize(number, *words) == text
