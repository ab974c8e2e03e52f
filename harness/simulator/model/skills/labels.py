"""Finds the labels a prompt offers: a bulleted list with or without descriptions, a comma list, or "yes or no"."""

from __future__ import annotations

import re
from functools import lru_cache

CUE = re.compile(
    r"\b(?:one of|queues?|labels?|categor|classif|class\b|classes\b|intents?\b|topics?\b|sentiments?\b|choose|pick|either"
    r"|options?\b|departments?\b|teams?\b|yes or no)",
    re.IGNORECASE,
)
NAME = r"[`\"'*_]{0,2}([A-Za-z][\w/-]*(?: [\w/-]+){0,2}?)[`\"'*_]{0,2}"
DESCRIBED = re.compile(rf"^[ \t]*(?:[-*•]|\d+[.)])[ \t]*{NAME}[ \t]*(?::|–|—| -)[ \t]*(.+(?:\n[ \t]+\S.*)*)", re.MULTILINE)
BULLET = re.compile(rf"^[ \t]*(?:[-*•]|\d+[.)])[ \t]*{NAME}[ \t]*[.,;]?$", re.MULTILINE)
ITEM = r"[`\"'*]{0,2}[A-Za-z][\w/-]*(?: [\w/-]+){0,2}[`\"'*]{0,2}"
LISTED = re.compile(rf"{ITEM}(?:\s*[,|/]\s*{ITEM})+(?:\s*,?\s+(?:and|or)\s+{ITEM})?")
AFTER = re.compile(r"[:(]\s*$|\b(?:of|as|either|from|with|say|are)\s+$", re.IGNORECASE)
PAIR = re.compile(
    r"\b(?:either |answer |with |say |reply |:\s*)[`\"']?([A-Za-z]+)[`\"']? or [`\"']?([A-Za-z]+)[`\"']?", re.IGNORECASE
)
INSIDE = re.compile(r"^(?:\w+ ){0,2}(?:of|as|either|from|with|say|are) ", re.IGNORECASE)
ANNOUNCEMENT = 20
MAX_CHARACTERS = 20_000
SEPARATOR = re.compile(r"\s*[,|/]\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+")


@lru_cache(maxsize=256)
def find_labels(text: str) -> tuple[tuple[str, str], ...]:
    """The labels as written, each with its description ("" where there is none); empty where the text offers no choice."""
    text = text[:MAX_CHARACTERS]
    if not CUE.search(text):
        return ()
    described = tuple((name, " ".join(body.split())) for name, body in DESCRIBED.findall(text))
    if len(described) > 1:
        return described
    names = BULLET.findall(text)
    if len(names) < 2:
        names = _listed_labels(text) or [name for pair in PAIR.findall(text)[:1] for name in pair]
    return tuple((name, "") for name in names)


def _listed_labels(text: str) -> list[str]:
    """The first comma list of three or more (or of two, joined by a bar) that a colon or a word like "of" announces."""
    for match in LISTED.finditer(text):
        listed = INSIDE.sub("", match[0])
        announced = listed != match[0] or AFTER.search(text[max(match.start() - ANNOUNCEMENT, 0) : match.start()])
        names = [item.strip("`\"'*") for item in SEPARATOR.split(listed)]
        if announced and (len(names) > 2 or "|" in listed):
            return names
    return []
