"""Untrusted text made harmless for each place it is written to: one `escape_for(sink)` per sink.

Untrusted is whatever a model, a judge, a data set or a server wrote, and every name in a suite.
Nothing is dropped silently: a control character is shown as its picture, a character that reorders
or hides text as its code point.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from markupsafe import escape

Sink = Literal["html", "terminal", "csv", "xml", "markdown", "plot"]

CELL_LIMIT = 32_767
"""Characters a spreadsheet cell holds; a longer one is cut and says so."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HIDDEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_CI_COMMANDS = (
    "debug|notice|warning|error|group|endgroup|add-mask|add-matcher|remove-matcher|add-path|set-output|set-env|save-state"
    "|stop-commands|echo"
)
_CI_LINE = re.compile(
    rf"(?:^|(?<=\s)):(?=:[\w-])|:(?=:(?:{_CI_COMMANDS})(?:\s|:))", re.IGNORECASE | re.MULTILINE
)
_CI_BRACKET = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)

_FILLERS = "\u115f\u1160\u3164\uffa0"
"""Letters without a shape."""
_INVISIBLE = (
    rf"\s\x00-\x20{_FILLERS}\u00ad\u0300-\u036f\u061c\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\ufe00-\ufe0f\ufeff\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_FORMULA = re.compile(rf"^[{_INVISIBLE}]*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n|%]")
_HARMLESS = re.compile(rf"(?![{_FILLERS}])[\w{{\[\"][\w\n -~]*")
"""Text that is harmless in a cell as it stands; most is, and a million rows are many cells."""
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~$])")
_AUTOLINK = re.compile(r"\b((?:https?|ftp|mailto|xmpp):|www\.)", re.IGNORECASE)


def escape_for(sink: Sink) -> Callable[[str], str]:
    """The function that makes text harmless for `sink`."""
    return _ESCAPES[sink]


def make_visible(text: str) -> str:
    """Controls as their pictures (␛), characters that reorder or hide text as ⟨U+202E⟩; newlines
    and tabs stay."""
    text = _CONTROL.sub(_control_picture, _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n")))
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def one_line(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters, its line breaks as ⏎."""
    flat = re.sub(r"\s*\n\s*", " ⏎ ", text[: limit * 4].strip())
    flat = re.sub(r"[\t ]+", " ", flat)
    return flat if len(flat) <= limit and len(text) <= limit * 4 else f"{flat[: limit - 1]}…"


def fence_code(text: str) -> str:
    """The text as a Markdown code block, its fence longer than any run of backticks inside, CI
    commands broken."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{_break_ci_commands(make_visible(text))}\n{ticks}"


def _escape_html(text: str) -> str:
    return str(escape(make_visible(text)))


def _escape_terminal(text: str) -> str:
    return _break_ci_commands(make_visible(text))


def _escape_csv(text: str) -> str:
    if len(text) <= CELL_LIMIT and _HARMLESS.fullmatch(text):
        return text
    clean = make_visible(text)
    if len(clean) > CELL_LIMIT:
        mark = f"… [{len(text):,} characters]"
        clean = clean[: CELL_LIMIT - len(mark) - 1] + mark
    return f"'{clean}" if _FORMULA.match(text) or _FORMULA.match(clean) else clean


def _escape_xml(text: str) -> str:
    """Legal XML characters only; whoever serializes escapes the markup."""
    return _NOT_XML.sub("\ufffd", make_visible(text))


def _escape_markdown(text: str) -> str:
    """Inline Markdown, also inside a table: no markup, link, image, mention
    or line break survives."""
    flat = _break_ci_commands(re.sub(r"\s*\n\s*", " ⏎ ", make_visible(text)))
    plain = _MARKDOWN.sub(r"\\\1", flat.replace("&", "&amp;"))
    plain = plain.replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\|", "&#124;")
    return (
        _AUTOLINK.sub(lambda found: f"{found[0][:-1]}\u200b{found[0][-1]}", plain)
        .replace("@", "@\u200b")
        .replace("\\#", "\\#\u200b")
    )


def _escape_plot_label(text: str) -> str:
    """A label for matplotlib: legal in SVG; parse_math is switched off where it is drawn."""
    return _escape_xml(text).replace("\n", " ")


def _break_ci_commands(text: str) -> str:
    """CI commands (`::error::`, `##vso[`) broken by a backslash, wherever wrapping could put them
    at a line's start."""
    return _CI_BRACKET.sub(r"#\\#", _CI_LINE.sub(r":\\", text))


def _control_picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"


_ESCAPES: dict[Sink, Callable[[str], str]] = {
    "html": _escape_html,
    "terminal": _escape_terminal,
    "csv": _escape_csv,
    "xml": _escape_xml,
    "markdown": _escape_markdown,
    "plot": _escape_plot_label,
}
