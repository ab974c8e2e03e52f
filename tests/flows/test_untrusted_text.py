"""No text can hold the marker that fences it, so none can end its fence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.flows.untrusted_text import delimit_texts, unguessable_marker
from tests.graders.attacks import ATTACKS

marked = st.text(alphabet=st.sampled_from("0123456789abcdef<>/-\n aenrsw"), max_size=60)


@given(st.lists(st.one_of(st.text(max_size=60), marked), min_size=1, max_size=4))
def test_no_text_holds_the_marker_that_fences_it(texts: list[str]) -> None:
    mark = unguessable_marker(texts)
    assert not any(mark in text for text in texts)


@given(st.text(max_size=60))
def test_an_answer_that_quotes_an_earlier_fence_gets_another(text: str) -> None:
    first = unguessable_marker([text])
    assert unguessable_marker([text + first]) not in text + first


@given(st.one_of(st.text(max_size=80), marked, st.sampled_from(ATTACKS)), st.text(max_size=40))
def test_every_fence_opens_and_closes_once_around_exactly_its_text(
    answer: str, rubric: str
) -> None:
    parts = {"rubric": rubric, "conversation": "?", "answer": answer}
    text, mark = delimit_texts(parts), unguessable_marker(list(parts.values()))
    for name, held in parts.items():
        before, _, rest = text.partition(f"<{name}-{mark}>\n")
        inside, _, after = rest.partition(f"\n</{name}-{mark}>")
        assert inside == held
        assert mark not in inside
        assert f"<{name}-" + mark not in before + after


def test_the_same_texts_have_the_same_nonce_and_others_another() -> None:
    assert unguessable_marker(["a", "b"]) == unguessable_marker(["a", "b"])
    assert (
        len(
            {
                unguessable_marker(["a", "b"]),
                unguessable_marker(["ab", ""]),
                unguessable_marker(["b", "a"]),
            }
        )
        == 3
    )
