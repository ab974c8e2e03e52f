"""Redacts API keys from whatever is written, by value, in every form that a server or a grader may
give them back in: as they are, in upper or lower case, escaped (JSON, Python, `%41`, `&#65;`), in
hexadecimal, in base64, and escaped twice.

Where a text was cut ("…", "...", or its end), the beginning of a secret in front of that goes, too.

A value shorter than 8 characters cannot be told from ordinary text and is not redacted;
`unredactable` names those, so that somebody can be told. Looking and finding nothing is the usual
case: one expression, compiled once, looks for the ways in which the forms of all secrets begin.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from html.entities import codepoint2name
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

T = TypeVar("T")

REDACTED = "redacted"
"""The flag of a record that a secret was taken out of."""

MIN_SECRET_LENGTH = 8
"""Characters a secret must have to be redacted."""
CERTAIN_LENGTH = 16
"""Characters of its beginning that are redacted at the end of a text, where nothing says that it
was cut."""

_SEARCHED, _OVERLAP = 4_096, 1_024
"""Characters that are searched at a time, and those of them that are searched with the next, since
a secret may begin there."""

_CUT = re.compile(r"""\\*["']?(?:…|\.\.\.|\\+u2026|&hellip;|&#8230;)""", re.IGNORECASE)
_ENTITIES = {**codepoint2name, ord("'"): "apos", ord("/"): "sol"}
_END = re.compile(r"""\Z|\\*["']""")


class _Form:
    """A way to write a secret down, as an expression for each part, and what takes its place."""

    def __init__(self, expressions: tuple[str, ...], mark: str) -> None:
        self._expressions, self.mark = expressions, mark
        self.head = "".join(expressions[:MIN_SECRET_LENGTH])
        """An expression for its beginning."""

    @cached_property
    def _parts(self) -> list[re.Pattern[str]]:
        return [re.compile(each) for each in self._expressions]

    def find_end(self, text: str, start: int) -> int:
        """Where the secret that begins at `start` ends, whole or cut; `start` where none does."""
        end = start
        for number, part in enumerate(self._parts):
            found = part.match(text, end)
            if found is None:
                is_cut = number >= MIN_SECRET_LENGTH and _CUT.match(text, end)
                is_at_end = number >= CERTAIN_LENGTH and _END.match(text, end)
                return end if is_cut or is_at_end else start
            end = found.end()
        return end


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
        self._forms = [
            _Form(expressions, f"[redacted {name}]")
            for name, value in long.items()
            for expressions in _forms_of(value)
        ]
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
        done = at = 0
        while at < len(text):
            data = _to_bytes(text[at : at + _SEARCHED])
            found = self._finder.search(data)
            if found is None:
                at += _SEARCHED - _OVERLAP
                continue
            start = at + len(data[: found.start()].decode("utf-8", "surrogatepass"))
            end, mark = max((form.find_end(text, start), form.mark) for form in self._forms)
            if end > start:
                pieces += (text[done:start], mark)
                done = end
            at = max(end, start + 1)
        return "".join((*pieces, text[done:])) if pieces else text

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


def _is_same(one: object, other: object) -> bool:
    return one is other


def _are_same_items(items: Any, others: Any) -> bool:
    return all(map(lambda one, other: one[0] is other[0] and one[1] is other[1], items, others))


# ── Forms ─────────────────────────────────────────────────────────────────────────────────────────


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _compile_finder(heads: Iterable[str]) -> Any:
    """Finds whether one of `heads` is in bytes, in time that does not grow with their number."""
    import re2  # noqa: PLC0415 - only a run needs it

    options = re2.Options()
    options.max_mem = 64 * 2**20
    return re2.compile("|".join(dict.fromkeys(heads)) or r"[^\s\S]", options)


def _forms_of(secret: str) -> Iterator[tuple[str, ...]]:
    """The ways a secret is written down, each as an expression for each part."""
    raw = secret.encode("utf-8", "surrogateescape")
    characters = re.findall(r"\\+|[^\\]", secret)  # an escaped backslash is two of them, or four
    if len(characters) < MIN_SECRET_LENGTH:
        characters = list(secret)
    yield tuple(f"(?i:{_escapes_of(each)}|{_literal(each)})" for each in characters)
    yield tuple(f"(?i:{byte:02x})" for byte in raw)
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
