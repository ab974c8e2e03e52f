"""Redaction: an API key is gone from whatever is written, in every form it takes, and nothing else
changes."""

from __future__ import annotations

import base64
import html
import json
import time
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import Error, Exchange, Message, Request, Response
from harness.runs.redaction import MAX_HITS, Redactor

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


QUOTED = r"""sk-"a'b\c\\d/e&f<g>h"""


@pytest.mark.parametrize("key", [KEY, QUOTED, "plain_0123456789", "naïve-key-ünder-20"])
@pytest.mark.parametrize(
    "form",
    [
        str.upper,
        str.lower,
        repr,
        lambda key: repr(key.encode()),
        lambda key: repr(repr(key)),
        lambda key: json.dumps(json.dumps(json.dumps(key))),
        lambda key: json.dumps(key).replace("/", "\\/"),
        lambda key: "".join(f"\\u{ord(each):04x}" for each in key),
        lambda key: json.dumps("".join(f"\\u{ord(each):04X}" for each in key)),
        lambda key: "".join(f"\\x{byte:02x}" for byte in key.encode()),
        lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
        lambda key: quote(quote(key, safe="")),
        html.escape,
        lambda key: html.escape(html.escape(key)),
        lambda key: "".join(f"&#{ord(each)};" for each in key),
        lambda key: "".join(f"&#x{ord(each):04X};" for each in key),
        lambda key: key.encode().hex(),
        lambda key: key.encode().hex().upper(),
        lambda key: json.dumps(base64.b64encode(key.encode()).decode()).replace("/", "\\/"),
        lambda key: f"{key[:9]}... and so on",
        lambda key: f"{key[:9]!r}…",
        lambda key: f"{json.dumps(key[:9])}…",
        lambda key: key[:18],
        lambda key: key.encode().hex(":"),
        lambda key: key.encode().hex(" ").upper(),
        lambda key: ", ".join(f"0x{byte:02x}" for byte in key.encode()),
        lambda key: "".join(f"\\{byte:03o}" for byte in key.encode()),
        lambda key: json.dumps("".join(f"\\{byte:03o}" for byte in key.encode())),
    ],
)
def test_every_form_that_a_server_or_a_grader_gives_back_is_found(key: str, form: Any) -> None:
    redactor = Redactor({"TINY_KEY": key, "OTHER": "another-secret"})
    text = f"the server says: <{form(key)}"
    assert redactor.redact_text(text).startswith("the server says: <")
    assert "[redacted TINY_KEY]" in redactor.redact_text(text)
    assert redactor.finds_secret(msgspec.json.encode({"reason": text}))


def test_many_secrets_in_a_long_text_are_found() -> None:
    text = f"{KEY}é{'x' * 5_000}{json.dumps(KEY)} " * 50
    assert REDACTOR.redact_text(text).count("[redacted TINY_KEY]") == 100


def test_ordinary_text_is_no_secret() -> None:
    words = "sk-ab is how keys begin; SK-AB/C+D; a%2Fb &quot; \\u0073 73 6b " * 20
    assert REDACTOR.redact_text(words) is words


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_base64_of_a_text_around_the_key_is_found(before: bytes, after: bytes) -> None:
    assert REDACTOR.finds_secret(base64.b64encode(before + KEY.encode() + after))


@pytest.mark.parametrize("kept", range(8, len(KEY)))
def test_the_beginning_of_a_key_goes_where_a_text_was_cut(kept: int) -> None:
    text = f"refused: {KEY[:4]}… and {KEY[:kept]}… (given up)"
    assert REDACTOR.redact_text(text) == f"refused: {KEY[:4]}… and [redacted TINY_KEY]… (given up)"
    assert REDACTOR.redact_bytes(text.encode()).decode() == REDACTOR.redact_text(text)
    assert REDACTOR.finds_secret(json.dumps(text).encode())


@pytest.mark.parametrize("cut", ["…", "...", "\\u2026", "&hellip;"])
@pytest.mark.parametrize("kept", [6, 7, 12, len(KEY) - 1])
def test_the_end_of_a_key_goes_behind_a_cut(cut: str, kept: int) -> None:
    text = f"the key {cut}{KEY[-kept:]} is wrong, as is {cut}{KEY[-kept:].upper()}"
    said = f"{cut}[redacted TINY_KEY]"
    assert REDACTOR.redact_text(text) == f"the key {said} is wrong, as is {said}"
    assert REDACTOR.finds_secret(text.encode())


def test_the_end_of_a_key_stays_where_nothing_was_cut() -> None:
    text = f"order {KEY[-6:]} and …x{KEY[-6:]} and …{KEY[-4:]}"
    assert REDACTOR.redact_text(text) is text


@pytest.mark.parametrize("piece", [KEY[:8], KEY[:12] + " ", KEY[-6:], KEY, KEY.encode().hex()[:16]])
def test_a_text_of_many_beginnings_takes_no_time_and_hides_nothing(piece: str) -> None:
    """Behind the thousandth, more goes than need be."""
    secret = f"|{KEY}|{json.dumps(KEY)}|{KEY[:14]}…|…{KEY[-8:]}|{KEY.encode().hex()}"
    REDACTOR.redact_text(piece * (MAX_HITS + 1))  # compiles what it needs
    started = time.process_time()
    redacted = REDACTOR.redact_text(f"the first; {piece * 20_000}{secret}; the last")
    assert time.process_time() - started < 1  # a tenth of it, on a machine of its own
    assert redacted.startswith("the first; ")
    assert redacted.endswith("[redacted TINY_KEY]; the last")
    assert redacted.count("|") == 5
    assert redacted.rpartition("; ")[0].count("[redacted TINY_KEY]") >= 5
    assert not REDACTOR.finds_secret(redacted[-200:].encode())


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
