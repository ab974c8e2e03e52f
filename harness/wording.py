"""Counted nouns, so that no message says "1 answers"."""

from __future__ import annotations

_VERBS = {"passes": "pass", "is": "are", "was": "were", "has": "have", "does": "do"}


def pluralize(number: int, noun: str, verb: str = "") -> str:
    """`1 trial`, `2,000 trials`; with a verb in the singular that follows it, `1 answer is`,
    `2 answers are`."""
    if number != 1:
        noun, verb = _plural(noun), _VERBS.get(verb, verb.removesuffix("s"))
    return f"{number:,} {noun} {verb}".rstrip()


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
