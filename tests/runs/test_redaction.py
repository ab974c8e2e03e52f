"""Redaction: an API key is gone from whatever is written, in every form it takes, and nothing else
changes."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import Error, Exchange, Message, Request, Response
from harness.runs.redaction import Redactor

KEY = 'sk-ab/c+d e"f&é-0123456789'
REDACTOR = Redactor({"TINY_KEY": KEY})


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY),
        quote(KEY, safe=""),
        quote_plus(KEY),
        "sk-ab%2fc%2bd%20e%22f%26%c3%a9-0123456789",
        json.dumps(KEY),
        json.dumps(KEY, ensure_ascii=False),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("="),
    ],
)
def test_every_form_is_found(form: str) -> None:
    text = f"the server says: <{form}>!"
    assert "[redacted TINY_KEY]" in REDACTOR.redact_text(text)
    assert REDACTOR.redact_bytes(text.encode()) == REDACTOR.redact_text(text).encode()
    assert REDACTOR.finds_secret(text.encode())


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_base64_of_a_text_around_the_key_is_found(before: bytes, after: bytes) -> None:
    assert REDACTOR.finds_secret(base64.b64encode(before + KEY.encode() + after))


@pytest.mark.parametrize("kept", range(8, len(KEY)))
def test_the_beginning_of_a_key_goes_where_a_text_was_cut(kept: int) -> None:
    text = f"refused: {KEY[:4]}… and {KEY[:kept]}… (given up)"
    assert REDACTOR.redact_text(text) == f"refused: {KEY[:4]}… and [redacted TINY_KEY]… (given up)"
    assert REDACTOR.redact_bytes(text.encode()).decode() == REDACTOR.redact_text(text)
    assert REDACTOR.finds_secret(json.dumps(text).encode())


def test_what_only_begins_like_a_key_stays() -> None:
    text = f"sk-ab/c+ and then something else… {KEY[:12]} …"
    assert REDACTOR.redact_text(text) is text


def test_nothing_found_is_the_same_object() -> None:
    record = Response(Message("assistant", "hello"), headers={"server": "x"}, flags=("a",))
    assert REDACTOR.redact_value(record) is record
    data = b"no key here"
    assert REDACTOR.redact_bytes(data) is data


def test_a_record_is_redacted_however_deep() -> None:
    exchange = Exchange(
        "t0",
        "target",
        "tiny",
        Request((Message("user", f"my key is {KEY}"),), sampling={"stop": [KEY, 7, None]}),
        Response(error=Error("provider", "unauthorized", f"bad key {KEY}"), headers={KEY: "x"}),
    )
    redacted = REDACTOR.redact_value(exchange)
    assert KEY not in repr(redacted)
    assert redacted.request.messages[0].text == "my key is [redacted TINY_KEY]"
    assert redacted.request.sampling == {"stop": ["[redacted TINY_KEY]", 7, None]}
    assert redacted.response.headers == {"[redacted TINY_KEY]": "x"}
    assert redacted.position == "t0"


def test_a_key_inside_another_goes_second() -> None:
    redactor = Redactor({"SHORT": "abcdefgh", "LONG": "abcdefgh-ijkl"})
    assert redactor.redact_text("abcdefgh-ijkl abcdefgh") == "[redacted LONG] [redacted SHORT]"


def test_short_secrets_are_named_and_left() -> None:
    redactor = Redactor({"PIN": "1234567", "UNSET": "", "KEY": "12345678"})
    assert redactor.unredactable == ("PIN",)
    assert redactor.redact_text("1234567") == "1234567"
