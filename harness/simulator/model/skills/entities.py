"""Entity extraction: emails, dates, amounts, currencies, order numbers, names, products.

A finder returns the possible values, best first: patterns give the candidates, and the words around
a candidate rank them ("total" speaks for an amount, "gift card" against it). These heuristics are
wrong now and then, which is what an extraction eval needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date

Finder = Callable[[str], list[str]]

MONTH_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec"
MONTHS = {name: number for number, name in enumerate(MONTH_NAMES.split(), 1)} | {
    "juillet": 7, "januar": 1, "märz": 3, "mai": 5, "juni": 6, "juli": 7, "okt": 10, "dez": 12,
}  # fmt: skip
MONTH = r"(?P<month>[A-Za-zä]{3,9})\.?"
DATES = (
    re.compile(r"\b(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})\b"),
    re.compile(r"\b(?P<d>\d{1,2})[/.](?P<m>\d{1,2})[/.](?P<y>\d{4})\b"),
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?(?: of)? {MONTH},? (?P<y>\d{{4}})\b"),
    re.compile(rf"\b{MONTH} (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y>\d{{4}})\b"),
)
SYMBOLS = {"C$": "CAD", "A$": "AUD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
SPOKEN = {"dollar": "USD", "euro": "EUR", "pound": "GBP", "yen": "JPY", "franc": "CHF"}
UNIT = r"(?:C\$|[$€£¥₹]|\b(?:USD|EUR|GBP|CHF|JPY|CAD|AUD|INR)\b)"
FIGURE = r"\d{1,3}(?:[,.]\d{3})+(?:[.,]\d{2})?|\d+(?:[.,]\d{1,2})?"
AMOUNT = re.compile(
    rf"{UNIT}\s*(?P<a>{FIGURE})(?!\d)|(?<![\d.,-])(?P<b>{FIGURE})\s*(?:{UNIT}|(?:dollar|euro|pound|yen|franc)s?\b)"
)
BARE_TOTAL = re.compile(rf"\btotale?\b[^\n\d]*(?P<a>{FIGURE})", re.IGNORECASE)
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
CODE = r"(?:[A-Z]{1,3}\d?[-/][\dA-Z][\w/-]*|\d{2,}-[\dA-Z][\w-]*|\d{5,9})"
ORDER = re.compile(
    rf"(?:\border|\bcommande|\bbestellung|\bref(?:erence)?|#)\W{{0,3}}(?:no\b|number|nr|id)?(?:\s+is)?[.:#\s]*({CODE})\b",
    re.IGNORECASE,
)
ANY_CODE = re.compile(rf"(?<![\w/@.-])({CODE})(?![\w@])")
GIVEN = r"(?!(?:Mrs?|Ms|Dr)\b)[A-ZÀ-Þ][\w]+(?:-[A-Z]\w+)?"
PERSON = rf"{GIVEN}(?: {GIVEN}){{1,2}}"
CUED_NAME = re.compile(
    r"(?:\b(?:name is|i am|i'm|it's|m'appelle|customer|client|buyer|sold to|bill to|deliver"
    r" to|kunde|who|name|from|ordered by"
    r"|dear|hello|hi|bonjour|user|visitor|by|i,)\b[\s:,]*(?:Mrs?\.? |Ms\.? |Dr\.?"
    rf" )?)(?-i:({PERSON}))",
    re.IGNORECASE,
)
ANY_NAME = re.compile(
    rf"^(?:\W*|\[.*\] )(?:Mrs?\.? )?({PERSON})(?=\W*$|: )|({PERSON})(?="
    rf" (?:here|speaking)\b)|[;>](?: \w+: )?({PERSON})\b",
    re.MULTILINE,
)
ITEM_LINE = re.compile(
    r"^[ \t]*(?:item|product|what|description|you bought|article)\s*[:]?[ \t]+(\S.*?)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
PRICED_LINE = re.compile(
    r"^[ \t]*(?:\d+ ?[x×]?[ \t]+)?([A-Z][^\W\d_]+(?: [\w-]+){0,4}?)(?:["
    rf" .]{{2,}})-?\s*(?:{UNIT})?\s*\d",
    re.MULTILINE,
)
AFTER_ITEM = (
    "for|from|of|and|was|on|in|is|has|le|i|that|which|cheaper|yesterday|today|last|two|before|with"
)
MENTIONED = re.compile(
    rf"\b(?:the|an?|my|une?|le|la)\s+((?-i:[A-ZÀ-Þ]\w+)(?: (?!{AFTER_ITEM})\w+){{1,3}})",
    re.IGNORECASE,
)
APPOSED = re.compile(
    r"[:(,;] *([A-ZÀ-Þ][^\W\d_]+(?: (?!on|for|to|from)[a-z][^\W\d_]+){1,3})\b(?=[.,;)\n]|$| on)"
)
NO_ITEM = re.compile(
    r"\b(?:total|tax|vat|shipping|delivery|discount|cash|change|card|net|paid|charged|order|receipt|date)\b",
    re.IGNORECASE,
)


def find_emails(text: str) -> list[str]:
    """Addresses; a person's before a department's."""
    return _rank_matches(
        text,
        EMAIL,
        (r"customer|e-?mail|reach me|my|contact|<$",),
        (r"help|orders|info|support", r"old|assistant"),
    )


def find_dates(text: str) -> list[str]:
    """Days as YYYY-MM-DD; the day of an order first."""
    found = [
        (
            _score_context(
                text,
                match,
                (r"order|placed|bought|paid|date:|charged",),
                (r"invoice|sent|left|refund date|\b(?:mon|tue|wed|thu|fri)",),
            ),
            day,
        )
        for pattern in DATES
        for match in pattern.finditer(text)
        if (day := _iso_date(match.groupdict()))
    ]
    return _best_first(found)


def find_amounts(text: str) -> list[str]:
    """Amounts of money as plain decimals; a total or a sum paid first."""
    minus = (
        (
            r"shipping|delivery\b|tax|vat|discount|gift card|cash|change|refunded|was"
            r" still|still|today its|almost|each"
        ),
    )
    found = [
        (
            _score_context(
                text, match, (r"total", r"paid|charged|payment|for\b|cost|it was"), minus
            ),
            _decimal_text(match["a"] or match["b"]),
        )
        for match in AMOUNT.finditer(text)
    ]
    found += [(1.5, _decimal_text(match["a"])) for match in BARE_TOTAL.finditer(text)]
    return _best_first(found)


def find_currencies(text: str) -> list[str]:
    """ISO codes of the currencies of amounts, in order of appearance."""
    found = re.findall(rf"{UNIT}|\b(?:dollar|euro|pound|yen|franc)", text)
    return list(dict.fromkeys(SYMBOLS.get(unit) or SPOKEN.get(unit) or unit for unit in found))


def find_order_ids(text: str) -> list[str]:
    """Codes after the word "order" or a number sign, then anything else that looks like a code."""
    cued = _rank_matches(text, ORDER, (), (r"invoice|receipt|other|came and",))
    loose = [
        code
        for code in ANY_CODE.findall(text)
        if not any(pattern.fullmatch(code) for pattern in DATES)
    ]
    return list(dict.fromkeys([*cued, *loose]))


def find_names(text: str) -> list[str]:
    """People: after a word that introduces them, then alone on a line or before a colon."""
    cued = _rank_matches(
        text,
        CUED_NAME,
        (r"customer|client|buyer|name is|i am|i'm|bill",),
        (r"cashier|support|agent",),
    )
    return [
        name
        for name in dict.fromkeys(
            [*cued, *(match[match.lastindex or 0] for match in ANY_NAME.finditer(text))]
        )
        if not NO_ITEM.search(name)
    ]


def find_products(text: str) -> list[str]:
    """Things: labelled as items, on a line with a price, after an article and capitalised, or set
    off by commas."""
    found = [
        *ITEM_LINE.findall(text),
        *PRICED_LINE.findall(text),
        *MENTIONED.findall(text),
        *APPOSED.findall(text),
    ]
    return [item.strip() for item in dict.fromkeys(found) if not NO_ITEM.search(item)]


def find_numbers(text: str) -> list[str]:
    """Every number, in order."""
    return list(
        dict.fromkeys(
            _decimal_text(figure)
            for figure in re.findall(rf"(?<![\w.,-])(?:{FIGURE})(?![\w-])", text)
        )
    )


def find_phones(text: str) -> list[str]:
    """Telephone numbers: seven or more digits with the usual separators."""
    return re.findall(r"\+?\d(?:[\s()/-]?\d){6,14}", text)


def split_sentences(text: str) -> list[str]:
    """Sentences and lines."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", text) if part.strip()]


def _rank_matches(
    text: str, pattern: re.Pattern[str], plus: Iterable[str], minus: Iterable[str]
) -> list[str]:
    group = 1 if pattern.groups else 0
    return _best_first(
        [
            (_score_context(text, match, plus, minus), match[group])
            for match in pattern.finditer(text)
        ]
    )


def _best_first(found: list[tuple[float, str]]) -> list[str]:
    return list(dict.fromkeys(value for _, value in sorted(found, key=lambda pair: -pair[0])))


def _score_context(
    text: str, match: re.Match[str], plus: Iterable[str], minus: Iterable[str]
) -> float:
    """One point for each cue in the match and the text before it (up to 45 characters of the same
    line)."""
    start = max(text.rfind("\n", 0, match.start()) + 1, match.start() - 45)
    around = text[start : match.end()].lower()
    return sum(bool(re.search(cue, around)) for cue in plus) - sum(
        bool(re.search(cue, around)) for cue in minus
    )


def _iso_date(parts: dict[str, str]) -> str | None:
    month = (
        parts.get("m")
        or MONTHS.get(parts.get("month", "").lower())
        or MONTHS.get(parts.get("month", "").lower()[:3])
    )
    try:
        return date(int(parts["y"]), int(month or 0), int(parts["d"])).isoformat()
    except ValueError:
        return None


def _decimal_text(figure: str) -> str:
    """A figure in either convention of separators as JSON writes it: 1.349,00 and 1,349.00 are
    1349."""
    whole, _, cents = figure, "", ""
    if len(figure) > 2 and figure[-3] in ".,":
        whole, cents = figure[:-3], figure[-2:]
    elif len(figure) > 1 and figure[-2] in ".,":
        whole, cents = figure[:-2], figure[-1]
    digits = whole.replace(",", "").replace(".", "").lstrip("0") or "0"
    return f"{digits}.{cents}".rstrip("0").rstrip(".") if cents else digits
