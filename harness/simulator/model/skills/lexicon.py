"""Stems, stop words, and the vocabulary of common labels (general knowledge, not any eval's cases).

A label that is not listed is known by its own name and by the description the prompt gives it.
"""

from __future__ import annotations

import re
from functools import lru_cache

WORDS: dict[str, str] = {
    "billing": (
        "bill charge charged invoice payment pay paid refund card bank debit subscription receipt"
        " fee price money credit discount amount vat tax cost monthly"
    ),
    "shipping": (
        "ship shipped delivery deliver delivered parcel package tracking courier carrier arrive"
        " arrived dispatch customs warehouse driver address transit late order"
    ),
    "returns": (
        "return returned exchange replace replacement refund wrong broken damaged shattered label"
        " faulty restocking original unused back"
    ),
    "technical": (
        "error crash bug app update install reset connect wifi firmware setting website login"
        " screen battery loading slow fails blinks freeze pairing"
    ),
    "account": (
        "account password login sign email profile username delete personal data locked security"
        " name phone merge verify"
    ),
    "sales": (
        "buy purchase plan quote discount stock price offer available recommend upgrade difference"
        " product order reseller trial compatible"
    ),
    "positive": (
        "good great love loved excellent happy wonderful best perfect amazing enjoy pleased"
        " fantastic recommend"
    ),
    "negative": (
        "bad terrible hate awful poor worst disappointing broken sad angry boring waste never"
        " refund"
    ),
    "neutral": "okay average fine normal neither standard expected ordinary",
    "sports": "game team match player win league score coach season cup goal",
    "business": "market company shares profit bank trade economy stock revenue firm",
    "science": "research study scientists space cell energy planet experiment theory",
    "politics": "government election minister party vote law parliament president policy",
    "spam": "free win winner prize click offer cash urgent claim guaranteed",
    "urgent": "now immediately asap emergency down outage critical today",
}

STOP_WORDS = (
    "the and for with that this from have has had are was were will would can could not but you"
    " your our their his her its they them what which when where who how why does did about into"
    " than then too very just all any been being there here please hello thanks one two out get got"
    " more most some other as is it in on to of or an a be by we i me my so if do at no up"
)
STOP = frozenset(STOP_WORDS.split())
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
ENDING = re.compile(r"(?:ing|ies|ed|es|s|ment|ation|ery)$")


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """A word without its ending; crude, and the same for labels and texts."""
    bare = word.split("'", maxsplit=1)[0]
    shorter = ENDING.sub("", bare)
    return (shorter if len(shorter) >= 3 else bare)[:7]


def stems(text: str) -> set[str]:
    """The distinct stems of the content words in `text`."""
    return {stem(word) for word in WORD.findall(text.lower()) if word not in STOP and len(word) > 2}


@lru_cache(maxsize=1024)
def label_stems(label: str) -> frozenset[str]:
    """The stems that indicate a label: those of its own name and of its vocabulary."""
    return frozenset(stems(f"{label} {WORDS.get(label.lower(), '')}"))
