"""The estimate against what the Llama 4 tokenizer is known to take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import Image, Message, Request, Text, TokenLogprob, Tool, ToolCall, Usage
from harness.pricing.tiles import UNKNOWN_SIZE
from harness.pricing.tokens import apportion_usage, estimate_request, estimate_text, estimate_usage

PROSE = (
    "The party of the first part shall indemnify and hold harmless the party of the second part against all claims, losses "
    "and expenses that arise from the performance of this agreement, unless they are caused by negligence. Notice shall be "
    "given in writing and takes effect on receipt; a failure to exercise a right is not a waiver of that right."
)
PYTHON = '''
def mean(values: list[float]) -> float:
    """The arithmetic mean of `values`. Raises ValueError where there are none."""
    if not values:
        raise ValueError("mean of nothing")
    return sum(values) / len(values)
'''
CSV = "\n".join(
    f"{number * 37 % 1000 / 10:.2f},{number * 91 % 1000 / 10:.2f},{number}" for number in range(40)
)


def test_what_an_answer_tells_of_its_tokens_outranks_the_estimate() -> None:
    limited = Request(sampling={"max_tokens": 24})
    several = Request(sampling={"max_tokens": 24, "n": 2})
    answer = Message("assistant", "A short answer")
    thought = Message("assistant", "A short answer", reasoning="A short thought")
    called = Message("assistant", "A", tool_calls=(ToolCall("1", "f", "{}"),))
    four = tuple(TokenLogprob(each, -0.1) for each in "abcd")

    def output(request: Request, message: Message, *told: Any) -> int | None:
        usage = estimate_usage(request, message, *told)
        assert usage.source == "estimated"
        return usage.output_tokens

    assert output(limited, answer, "length", four) == 24
    assert output(limited, thought, "length") == 24
    assert estimate_usage(limited, thought, "length").reasoning == 12
    assert output(limited, answer, "stop", four) == output(Request(), answer, "length", four) == 4
    assert output(limited, answer, "stop") == output(several, answer, "length") == 3
    assert output(limited, called, "stop", four) == output(limited, called, "stop")


# Prose and code: the Llama 4 tokenizer's characters per token, measured over 18 corpora. Rows of
# three decimals: every group of digits, every mark and every line end is a token, ten or so a row.
@pytest.mark.parametrize(
    ("text", "tokens"),
    [(PROSE, len(PROSE) / 4.75), (PYTHON, len(PYTHON) / 4.43), (CSV, 40 * 10)],
    ids=["legal prose", "python", "decimal csv"],
)
def test_within_a_quarter_of_what_the_tokenizer_takes(text: str, tokens: float) -> None:
    assert estimate_text(text) == pytest.approx(tokens, rel=0.25)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Hello", 1),
        ("Hello, world!", 3),
        ("1234567", 4),
        ("Привет", 2),
        ("東京都", 2),
        ("안녕하세요", 3),
        (" ", 1),
    ],
)
def test_small_texts(text: str, tokens: int) -> None:
    assert estimate_text(text) == tokens


@given(st.text())
def test_any_text_has_an_estimate_no_greater_than_its_bytes(text: str) -> None:
    assert 0 <= estimate_text(text) <= 2 * len(text.encode("utf-8", "surrogatepass"))


def test_a_chat_adds_its_template() -> None:
    turns = (Message("system", "Be brief."), Message("user", "Hi"))
    assert estimate_request(Request(messages=turns)) == 5 + 2 * 5 + estimate_text(
        "Be brief."
    ) + estimate_text("Hi")


def test_tools_and_images_count() -> None:
    plain = Request(messages=(Message("user", "Look."),))
    seen = Request(
        messages=(Message("user", (Text("Look."), Image("image/png", "AAAA" * 10_000))),)
    )
    armed = Request(
        messages=plain.messages,
        tools=(Tool("f", "Does it.", {"type": "object", "properties": {}}),),
    )
    assert estimate_request(seen) == estimate_request(plain) + UNKNOWN_SIZE
    assert estimate_request(armed) > estimate_request(plain) + 100


def test_a_raw_prompt_counts() -> None:
    assert estimate_request(Request(prompt=PROSE, raw=True)) >= estimate_text(PROSE)


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=30),
)
def test_shares_of_a_total_add_up_to_it_and_keep_the_proportion(
    sent: int, got: int, guesses: list[tuple[int, int]]
) -> None:
    shares = apportion_usage(
        Usage(sent, got), [], [Usage(*guess, source="estimated") for guess in guesses]
    )
    assert (sum(each.input or 0 for each in shares), sum(each.output or 0 for each in shares)) == (
        sent,
        got,
    )
    if weight := sum(guess for guess, _ in guesses):
        assert all(
            abs((each.input or 0) - sent * guess / weight) < 1
            for each, (guess, _) in zip(shares, guesses, strict=True)
        )


def test_a_share_of_what_is_not_known_is_not_known() -> None:
    assert apportion_usage(Usage(10, None), [], [Usage(1, 1)]) == [
        Usage(10, None, source="estimated")
    ]
    assert apportion_usage(Usage(10, 10), [Usage(None, 4)], [Usage(1, 1)]) == [
        Usage(None, 6, source="estimated")
    ]
