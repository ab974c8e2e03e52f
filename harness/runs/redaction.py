"""Redacts API keys from whatever is written, by value, in every form that a server or a grader may
give them back in: as they are, in upper or lower case, escaped (JSON, Python, `%41`, `&#65;`),
in hexadecimal with or without separators, in base64, and escaped twice.

Where a text was cut ("…", "...", or its end), the beginning of a secret in front of that goes, too,
and so does its end behind it.

A value shorter than 8 characters cannot be told from ordinary text and is not redacted;
`unredactable` names those, so that somebody can be told. Looking and finding nothing is the usual
case: one expression, compiled once, looks for the ways in which the forms of all secrets begin.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from html.entities import codepoint2name
from operator import itemgetter
from typing import Any, TypeVar

from msgspec import Raw, Struct
from msgspec.structs import replace

T = TypeVar("T")

REDACTED = "redacted"
"""The flag of a record that a secret was taken out of."""

MIN_SECRET_LENGTH = 8
"""Characters a secret must have to be redacted."""
CERTAIN_LENGTH = 16
"""Characters of its beginning that are redacted at the end of a text, where nothing says that it
was cut."""

TAIL_LENGTH = 6
"""Characters of its end that are redacted behind a cut."""

MAX_HITS = 1_000
"""Places of a text that are looked at one by one; behind them, whatever begins like a secret goes,
so that a text of nothing but beginnings takes no more than milliseconds."""

_SEARCHED, _OVERLAP = 4_096, 1_024
"""Characters that are searched at a time, and those of them that are searched with the next, since
a secret may begin there."""

_PART = r"""(?:\\+[ux][0-9a-f]{0,7}|\\+[0-7]{0,2}|%[0-9a-f]{0,3}|&[#a-z0-9;]{0,12}|[0-9a-f])?"""
"""An escape, or a byte in hexadecimal, that was cut in the middle."""
_CUT = re.compile(
    rf"""{_PART}\\*["']?(?:\.{{0,3}}…|\.\.\.|\\+u2026|&hellip;|&#8230;)""", re.IGNORECASE
)
_CUTS = ("…", "...", r"\u2026", "&hellip;", "&#8230;")
_CUT_LENGTH = max(map(len, _CUTS))
_ENTITIES = {**codepoint2name, ord("'"): "apos", ord("/"): "sol"}
_END = re.compile(rf"""{_PART}(?:\Z|\\*["'])""", re.IGNORECASE)


class _Form:
    """A way to write a secret down, as an expression for each part, and what takes its place."""

    def __init__(self, expressions: tuple[str, ...], mark: str) -> None:
        self._expressions, self.mark = expressions, mark
        self.head = "".join(expressions[:MIN_SECRET_LENGTH])
        """An expression for its beginning."""

    @cached_property
    def _beginning(self) -> re.Pattern[str]:
        return re.compile(self.head)

    @cached_property
    def _rest(self) -> list[re.Pattern[str]]:
        return [re.compile(each) for each in self._expressions[MIN_SECRET_LENGTH:]]

    @cached_property
    def any_beginning(self) -> Any:
        """Finds its beginning with what follows that has characters of the secret."""
        parts = "|".join(dict.fromkeys(self._expressions))
        return _compile_re2(f"{self.head}(?:{parts})*")

    def find(self, text: str, at: int) -> tuple[int, int]:
        """Where the secret that begins at `at` begins and ends, whole or cut; twice `at` where none
        does."""
        found = self._beginning.match(text, at)
        if found is None:
            return at, at
        end = found.end()
        for number, part in enumerate(self._rest, start=MIN_SECRET_LENGTH):
            found = part.match(text, end)
            if found is None:
                is_cut = _CUT.match(text, end)
                is_at_end = number >= CERTAIN_LENGTH and _END.match(text, end)
                return (at, end) if is_cut or is_at_end else (at, at)
            end = found.end()
        return at, end


class _Tail:
    """The end of a secret that follows a cut."""

    def __init__(self, secret: str, mark: str) -> None:
        self._secret, self.mark = secret.lower(), mark
        self.head = f"(?i:{re.escape(secret[-TAIL_LENGTH:])})"
        """An expression for its last characters."""

    @cached_property
    def any_beginning(self) -> Any:
        """Finds a cut, and what follows of characters of the secret up to its last ones."""
        cuts, parts = (
            "|".join(map(re.escape, dict.fromkeys(each))) for each in (_CUTS, self._secret)
        )
        return _compile_re2(f"(?i:{cuts})(?i:{parts})*{self.head}")

    def find(self, text: str, at: int) -> tuple[int, int]:
        """Where the part of the secret whose last characters begin at `at` begins and ends; twice
        `at` where it is not cut."""
        end, secret = at + TAIL_LENGTH, self._secret
        before = text[max(0, end - len(secret) - _CUT_LENGTH) : end].lower()
        for length in range(TAIL_LENGTH, min(len(secret), len(before))):
            if before[-length] != secret[-length]:
                break
            if before.endswith(_CUTS, 0, len(before) - length) and before.endswith(
                secret[-TAIL_LENGTH:]
            ):
                return end - length, end
        return at, at


class Redactor:
    """Knows `secrets` by the name of the variable that holds each; a secret becomes `[redacted
    NAME]`."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        long = {name: value for name, value in secrets.items() if len(value) >= MIN_SECRET_LENGTH}
        self.unredactable = tuple(
            sorted(name for name, value in secrets.items() if value and name not in long)
        )
        """Names of the secrets that are too short."""
        self.has_secrets = bool(long)
        """Whether there is anything to redact."""
        self._forms: list[_Form | _Tail] = [
            _Form(expressions, f"[redacted {name}]")
            for name, value in long.items()
            for expressions in _forms_of(value)
        ]
        self._forms += [_Tail(value, f"[redacted {name}]") for name, value in long.items()]
        self._finder = _compile_finder([form.head for form in self._forms])

    def finds_secret(self, data: bytes) -> bool:
        """Whether a secret is in `data`."""
        return self.redact_bytes(data) is not data

    def redact_bytes(self, data: bytes) -> bytes:
        """`data` without secrets: the same object where there are none."""
        if not self._finder.search(data):
            return data
        text = data.decode("utf-8", "surrogateescape")
        redacted = self._replace_secrets(text)
        return data if redacted is text else redacted.encode("utf-8", "surrogateescape")

    def redact_text(self, text: str) -> str:
        """`text` without secrets: the same object where there are none."""
        return self._replace_secrets(text) if self._finder.search(_to_bytes(text)) else text

    def _replace_secrets(self, text: str) -> str:
        pieces = list[str]()
        done = at = hits = 0
        while at < len(text):
            if hits == MAX_HITS:
                return "".join((*pieces, text[done:at], self._replace_beginnings(text[at:])))
            data = _to_bytes(text[at : at + _SEARCHED])
            found = self._finder.search(data)
            if found is None:
                at += _SEARCHED - _OVERLAP
                continue
            hits += 1
            hit = at + len(data[: found.start()].decode("utf-8", "surrogatepass"))
            start, end, mark = max(
                self._find_at(text, hit), key=itemgetter(1), default=(hit, hit, "")
            )
            if end > start >= done:
                pieces += (text[done:start], mark)
                done = end
            at = max(end, hit + 1)
        return "".join((*pieces, text[done:])) if pieces else text

    def _replace_beginnings(self, text: str) -> str:
        """`text` without whatever begins like a secret."""
        data = _to_bytes(text)
        for form in self._forms:
            data = form.any_beginning.sub(form.mark.encode(), data)
        return data.decode("utf-8", "surrogatepass")

    def _find_at(self, text: str, hit: int) -> Iterator[tuple[int, int, str]]:
        """Yields where each form whose head is at `hit` begins and ends, and its mark."""
        heads = self._heads.match(text, hit)
        for form, head in zip(self._forms, heads.groups() if heads else (), strict=False):
            if head is not None:
                yield (*form.find(text, hit), form.mark)

    @cached_property
    def _heads(self) -> re.Pattern[str]:
        """Tells in one go which heads are at a place."""
        return re.compile("".join(f"(?:(?=({form.head})))?" for form in self._forms))

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
        if isinstance(value, Raw):  # its text might be no JSON any more
            return self._redact(json.loads(bytes(value)))
        if isinstance(value, Struct):
            return self._redact_struct(value)
        if isinstance(value, Mapping):
            items = {self._redact(key): self._redact(item) for key, item in value.items()}
            return value if _are_same_items(items.items(), value.items()) else items
        if isinstance(value, list | tuple):
            parts = [self._redact(part) for part in value]
            return value if all(map(_is_same, parts, value)) else type(value)(parts)
        return value

    def _finds_in_tokens(self, logprobs: Any) -> bool:
        """Whether the tokens of an answer spell a secret, a few characters each."""
        text = "".join([each.token for each in logprobs])
        return self.redact_text(text) is not text

    def _redact_struct(self, value: Struct) -> Struct:
        changes = {}
        for name in value.__struct_fields__:
            before = getattr(value, name)
            after = self._redact(before)
            if name == "logprobs" and self._finds_in_tokens(before):
                after = ()
            if after is not before:
                changes[name] = after
        return replace(value, **changes) if changes else value


def _is_same(one: object, other: object) -> bool:
    return one is other


def _are_same_items(items: Any, others: Any) -> bool:
    return all(map(lambda one, other: one[0] is other[0] and one[1] is other[1], items, others))


# ── Forms ─────────────────────────────────────────────────────────────────────────────────────────


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _compile_finder(heads: Iterable[str]) -> Any:
    """Finds whether one of `heads` is in bytes, in time that does not grow with their number."""
    return _compile_re2("|".join(dict.fromkeys(heads)) or r"[^\s\S]")


def _compile_re2(expression: str) -> Any:
    import re2  # noqa: PLC0415 - only a run needs it

    options = re2.Options()
    options.max_mem = 64 * 2**20
    return re2.compile(expression, options)


def _forms_of(secret: str) -> Iterator[tuple[str, ...]]:
    """The ways a secret is written down, each as an expression for each part."""
    raw = secret.encode("utf-8", "surrogateescape")
    characters = re.findall(r"\\+|[^\\]", secret)  # an escaped backslash is two of them, or four
    if len(characters) < MIN_SECRET_LENGTH:
        characters = list(secret)
    yield tuple(f"(?i:{_escapes_of(each)}|{_literal(each)})" for each in characters)
    yield (
        f"(?i:{raw[0]:02x})",
        *(rf"(?:[-:,\s]{{0,2}}(?i:(?:0x)?{byte:02x}))" for byte in raw[1:]),
    )
    for encode in (b64encode, urlsafe_b64encode):
        for form in _base64_forms(raw, encode):
            if len(form) >= MIN_SECRET_LENGTH:
                yield tuple(f"(?:(?i:{_escapes_of(each)})|{_literal(each)})" for each in form)


def _literal(character: str) -> str:
    """An expression for a character that is not escaped, or with a backslash; any number of
    backslashes stands for one."""
    if character[0] == "\\":
        return r"\\+"
    if "\ud800" <= character <= "\udfff":  # a byte that is not UTF-8
        return "[^ -~]"
    return rf"\\*{re.escape(character)}" + (r"|\+" if character == " " else "")


@cache
def _escapes_of(character: str) -> str:
    """An expression for the ways to write a character without it."""
    code, raw = ord(character[0]), character[0].encode("utf-8", "surrogateescape")
    utf16 = character[0].encode("utf-16-be", "surrogatepass")
    units = [utf16[at : at + 2].hex() for at in range(0, len(utf16), 2)]
    escapes = [
        "".join(rf"\\+u{unit}" for unit in units),
        rf"\\+U{code:08x}",
        "".join(rf"\\+{byte:03o}" for byte in raw),
        "".join(rf"\\+x{byte:02x}" for byte in raw),
        "".join(rf"%(?:25)*{byte:02x}" for byte in raw),
        rf"&(?:amp;)*#(?:0*{code}|x0*{code:x});",
    ]
    if 0x80 <= code <= 0xFF:
        escapes.append(rf"\\+x{code:02x}")
    if name := _ENTITIES.get(code):
        escapes.append(rf"&(?:amp;)*{name};")
    expression = "|".join(escapes)
    return f"(?:{expression}){{{len(character)}}}" if len(character) > 1 else expression


def _base64_forms(secret: bytes, encode: Any) -> Iterator[str]:
    """What of a base64 text depends on the secret alone, for each of the three places a secret can
    start in a group."""
    for before in range(3):
        text: str = encode(b"\0" * before + secret).rstrip(b"=").decode()
        certain = (before + len(secret)) * 8 // 6  # characters whose six bits are all known
        yield text[-(-before * 8 // 6) : certain]
