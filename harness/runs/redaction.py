"""Redacts API keys from whatever is written, by value: as they are, in base64, URL-encoded, and
escaped in JSON.

Where a text was cut ("…"), the beginning of a secret in front of that goes, too.

A value shorter than 8 characters cannot be told from ordinary text and is not redacted;
`unredactable` names those, so that somebody can be told. Looking and finding nothing is the usual
case and costs a substring search for each way in which the forms of a secret begin.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any, AnyStr, TypeVar
from urllib.parse import quote, quote_plus

from msgspec import Struct
from msgspec.structs import replace

T = TypeVar("T")

REDACTED = "redacted"
"""The flag of a record that a secret was taken out of."""

MIN_SECRET_LENGTH = 8
"""Characters a secret must have to be redacted."""

_CUTS = ("…", "\\u2026")
"""What stands where a text was cut, and the same in ASCII JSON."""
_CUTS_IN_BYTES = tuple(cut.encode() for cut in _CUTS)

_ESCAPE = re.compile("%[0-9A-F]{2}")


class Redactor:
    """Knows `secrets` by the name of the variable that holds each; a secret becomes `[redacted
    NAME]`."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        long = {name: value for name, value in secrets.items() if len(value) >= MIN_SECRET_LENGTH}
        self.unredactable = tuple(
            sorted(name for name, value in secrets.items() if value and name not in long)
        )
        """Names of the secrets that are too short."""
        forms = {
            form: f"[redacted {name}]"
            for name, value in long.items()
            for form in _secret_forms(value)
        }
        ordered = sorted(forms, key=len, reverse=True)  # a secret that contains another goes first
        self._forms = [(form, forms[form]) for form in ordered]
        self._bytes = [
            (form.encode("utf-8", "surrogateescape"), mark.encode()) for form, mark in self._forms
        ]
        self.has_secrets = bool(forms)
        """Whether there is anything to redact."""
        self._heads = sorted({form[:MIN_SECRET_LENGTH] for form, _ in self._forms})
        self._heads_in_bytes = sorted({form[:MIN_SECRET_LENGTH] for form, _ in self._bytes})

    def finds_secret(self, data: bytes) -> bool:
        """Whether a secret is in `data`."""
        return self.redact_bytes(data) is not data

    def redact_bytes(self, data: bytes) -> bytes:
        """`data` without secrets: the same object where there are none."""
        for head in self._heads_in_bytes:
            if head in data:
                for form, mark in self._bytes:
                    data = _replace_secret(data, form, mark, _CUTS_IN_BYTES)
                break
        return data

    def redact_text(self, text: str) -> str:
        """`text` without secrets: the same object where there are none."""
        for head in self._heads:
            if head in text:
                for form, mark in self._forms:
                    text = _replace_secret(text, form, mark, _CUTS)
                break
        return text

    def redact_value(self, value: T) -> T:
        """`value` with every string in it redacted, however deep: the same object where that
        changes nothing.

        Goes through structs, mappings (keys too), lists and tuples; anything else is left alone.
        """
        redacted: T = self._redact(value)
        return redacted

    def _redact(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redact_text(value)
        if isinstance(value, bytes):
            return self.redact_bytes(value)
        if isinstance(value, Struct):
            return self._redact_struct(value)
        if isinstance(value, Mapping):
            items = {self._redact(key): self._redact(item) for key, item in value.items()}
            return value if _are_same_items(items.items(), value.items()) else items
        if isinstance(value, list | tuple):
            parts = [self._redact(part) for part in value]
            return value if all(map(_is_same, parts, value)) else type(value)(parts)
        return value

    def _redact_struct(self, value: Struct) -> Struct:
        changes = {}
        for name in value.__struct_fields__:
            before = getattr(value, name)
            after = self._redact(before)
            if after is not before:
                changes[name] = after
        return replace(value, **changes) if changes else value


def _replace_secret(text: AnyStr, form: AnyStr, mark: AnyStr, cuts: tuple[AnyStr, ...]) -> AnyStr:
    """`text` with `mark` in place of every `form`, and of every beginning of it that one of `cuts`
    follows."""
    if form in text:
        text = text.replace(form, mark)
    head = form[:MIN_SECRET_LENGTH]
    at = text.find(head)
    while at >= 0:
        end = at + next(
            length for length in range(len(form), 0, -1) if text.startswith(form[:length], at)
        )
        if text.startswith(cuts, end):
            text = text[:at] + mark + text[end:]
        at = text.find(head, at + 1)
    return text


def _is_same(one: object, other: object) -> bool:
    return one is other


def _are_same_items(items: Any, others: Any) -> bool:
    return all(map(lambda one, other: one[0] is other[0] and one[1] is other[1], items, others))


def _secret_forms(secret: str) -> Iterator[str]:
    """The ways a secret is written down."""
    raw = secret.encode("utf-8", "surrogateescape")
    yield secret
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield from (quoted, _ESCAPE.sub(lambda escape: escape[0].lower(), quoted))
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    for encode in (b64encode, urlsafe_b64encode):
        yield from _base64_forms(raw, encode)


def _base64_forms(secret: bytes, encode: Any) -> Iterator[str]:
    """What of a base64 text depends on the secret alone, for each of the three places a secret can
    start in a group."""
    for before in range(3):
        text: str = encode(b"\0" * before + secret).rstrip(b"=").decode()
        certain = (before + len(secret)) * 8 // 6  # characters whose six bits are all known
        yield text[-(-before * 8 // 6) : certain]
