"""Word problems: from a sentence to the arithmetic expression it describes.

Patterns come first, from specific to general. The last resort reads clause by clause: each clause's
verb decides what its number does to a running value. That is often wrong, as it is for school
pupils: these are this model's hard questions.
"""

from __future__ import annotations

import re
from collections.abc import Callable

N = r"(-?\d+(?:\.\d+)?)"
A = r"[$€£]?" + N

UNITS = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
OTHER_WORDS = {
    "twenty": "20",
    "thirty": "30",
    "fifty": "50",
    "hundred": "100",
    "a dozen": "12",
    "dozen": "12",
}
WORDS = (
    {name: str(value) for value, name in enumerate(UNITS.split(), 2)}
    | OTHER_WORDS
    | {"twice": "2 times"}
)
WORD = re.compile(r"\b(?:" + "|".join(sorted(WORDS, key=len, reverse=True)) + r")\b", re.IGNORECASE)

PHRASES: tuple[tuple[str, str], ...] = (
    (rf"\badd {A} (?:and|to) {A}", "{0} + {1}"),
    (rf"\bsum of {A} and {A}", "{0} + {1}"),
    (rf"\btake {A} (?:away )?from {A}", "{1} - {0}"),
    (rf"\bsubtract {A} from {A}", "{1} - {0}"),
    (rf"\bdifference between {A} and {A}", "{0} - {1}"),
    (rf"\bmultiply {A} (?:by|and) {A}", "{0} * {1}"),
    (rf"\bproduct of {A} and {A}", "{0} * {1}"),
    (rf"\bdivide {A} by {A}", "{0} / {1}"),
    (rf"\bwhat percentage of {A} is {A}", "{1} / {0} * 100"),
    (rf"\b{A} is what percent(?:age)? of {A}", "{0} / {1} * 100"),
    (rf"\bincrease {A} by {N}%", "{0} * (1 + {1} / 100)"),
    (rf"\b(?:decrease|reduce) {A} by {N}%", "{0} * (1 - {1} / 100)"),
    (rf"{N}% of {A}", "{0} / 100 * {1}"),
    (rf"\bfrom {A} to {A}\..*\bpercentage\b", "({1} - {0}) / {0} * 100"),
    (rf"\b{N} [a-z]+ in {N} [a-z]+\..* in {N} [a-z]+ at", "{0} / {1} * {2}"),
    (
        rf"\b(?:costs?|price of) {A}.*\breduced by {N}%.*\banother {A}",
        "{0} * (1 - {1} / 100) - {2}",
    ),
)
PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), form) for pattern, form in PHRASES
)

CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})\b")
PRICE = re.compile(rf"\b(?:a|an|each|one|per) (\w+) costs? {A}", re.IGNORECASE)
COUNT = re.compile(rf"\b{N} (\w+)")
CHANGE = re.compile(
    rf"\b{N} (?:\w+ ){{1,3}}(?:at|for) {A}(?: \w+)? each\b.*?\b(?:with|from) (?:an? )?{A}",
    re.IGNORECASE | re.DOTALL,
)
TRAVEL = re.compile(rf"{N} km at {N} km/h", re.IGNORECASE)

NUMBER = re.compile(rf"{N}(%?)")
DIVIDES = re.compile(
    r"\b(?:shar|split|divid)\w*\b[^.]*\b(?:among|between|into|by)\b[^.\d]*$", re.IGNORECASE
)
SUBTRACTS = re.compile(
    r"\b(?:gives?|gave|sells?|sold|loses?|lost|eats?|ate|spends?|spent|uses?|used|removes?|removed|cooled|fell|drops?|dropped"
    r"|get off|leaves?|breaks?|broke|pays?)\b|\bget(?:s)? $|\baway\b",
    re.IGNORECASE,
)
OFF = re.compile(
    r"^\s*(?:\w+\s+){0,2}(?:get off|off|are sold|were sold|break|broke|leave|left|away)\b",
    re.IGNORECASE,
)
MULTIPLIES = re.compile(r"\b(?:each|every|per)\b|^\s*times\b", re.IGNORECASE)
LOWERS = re.compile(
    r"\b(?:reduced|cut|lowered|falls|fell|drops|discounted|decreased?|less|off)\b", re.IGNORECASE
)
CLAUSE = re.compile(r"[^.;?!,]+(?:[.,]\d+[^.;?!,]*)*")


def parse_word_problem(question: str) -> str | None:
    """The expression that the words describe; None where there are not two numbers to work with."""
    text = WORD.sub(lambda match: WORDS[match[0].lower()], question)
    for reader in READERS:
        expression = reader(text)
        if expression is not None:
            return expression
    return None


def _match_phrase(text: str) -> str | None:
    for pattern, form in PATTERNS:
        match = pattern.search(text)
        if match:
            return form.format(*match.groups())
    return None


def _clock_difference(text: str) -> str | None:
    times = CLOCK.findall(text)
    if len(times) != 2 or "minutes" not in text:
        return None
    (from_hour, from_minute), (to_hour, to_minute) = times
    return f"({to_hour} * 60 + {to_minute}) - ({from_hour} * 60 + {from_minute})"


def _shopping_total(text: str) -> str | None:
    prices = {noun.rstrip("s"): amount for noun, amount in PRICE.findall(text)}
    terms = [
        f"{count} * {prices[noun.rstrip('s')]}"
        for count, noun in COUNT.findall(text)
        if noun.rstrip("s") in prices
    ]
    return " + ".join(terms) or None


def _change_due(text: str) -> str | None:
    match = CHANGE.search(text)
    return f"{match[3]} - {match[1]} * {match[2]}" if match else None


def _travel_time(text: str) -> str | None:
    return " + ".join(f"{distance} / {speed}" for distance, speed in TRAVEL.findall(text)) or None


def _read_sequentially(text: str) -> str | None:
    """Clause by clause: the first number starts, each later one acts by the verb near it."""
    expression = ""
    for clause in CLAUSE.findall(text):
        for match in NUMBER.finditer(clause):
            expression = _extend_expression(
                expression, match[0], clause[: match.start()], clause[match.end() :]
            )
    return expression if NUMBER.sub("", expression).strip("( )") else None


def _extend_expression(expression: str, number: str, before: str, after: str) -> str:
    if not expression:
        return number
    if number.endswith("%"):
        return f"({expression}) * (1 {'-' if LOWERS.search(before) else '+'} {number})"
    return f"({expression}) {_choose_operator(before, after)} {number}"


def _choose_operator(before: str, after: str) -> str:
    if DIVIDES.search(before):
        return "/"
    if OFF.search(after) or SUBTRACTS.search(before):
        return "-"
    if MULTIPLIES.search(after) or MULTIPLIES.search(before):
        return "*"
    return "+"


READERS: tuple[Callable[[str], str | None], ...] = (
    _match_phrase,
    _clock_difference,
    _change_due,
    _shopping_total,
    _travel_time,
    _read_sequentially,
)
