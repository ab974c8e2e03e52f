"""Plain text for every other prompt: a second-order Markov chain over a small corpus, sampled word
by word.

The text is unrelated to the prompt but has the length asked for ("in about 200 words", "a long
story"): for streaming, truncation and throughput.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from functools import cache
from importlib import resources

from harness.simulator.model.sampler import Candidate
from harness.simulator.model.skills.difficulty import TextGenerator
from harness.simulator.model.types import Prompt

Chain = dict[tuple[str, str], tuple[Candidate, ...]]

START = ""
USUAL_WORDS = 45
LONG_WORDS = 400
MOST_WORDS = 20_000
MOST_WORDS_IN_A_SENTENCE = 40
WORDS_ASKED = re.compile(r"\b(\d{1,5})[- ]words?\b", re.IGNORECASE)
LONG_ASKED = re.compile(
    r"\b(?:long|essay|story|detailed?|article|in depth|at length)\b", re.IGNORECASE
)


def propose_answer(prompt: Prompt) -> TextGenerator:
    """Sentences up to the length asked for or the token limit; a sentence is always finished."""
    wanted = words_wanted(prompt.question)
    if prompt.sampling.max_tokens is not None:
        wanted = min(wanted, prompt.sampling.max_tokens + 1)
    return generate_sentences(wanted)


def generate_sentences(wanted: int) -> TextGenerator:
    """Whole sentences of at least so many words."""
    chain = _word_chain()
    words: list[str] = []
    while len(words) < wanted:
        before, last, begun = START, START, len(words)
        while not last.endswith(".") and len(words) - begun < MOST_WORDS_IN_A_SENTENCE:
            before, last = last, (yield chain[before, last])
            words.append(last)
        words[-1] = words[-1].rstrip(".") + "."
    return " ".join(words)


def words_wanted(question: str) -> int:
    """The length of the answer that the question asks for, in words."""
    asked = WORDS_ASKED.search(question)
    if asked:
        return min(int(asked[1]), MOST_WORDS)
    return LONG_WORDS if LONG_ASKED.search(question) else USUAL_WORDS


@cache
def _word_chain() -> Chain:
    """From two words to their possible successors with log counts; (START,
    START) opens a sentence."""
    corpus = (
        resources.files("harness.simulator.model.skills")
        .joinpath("corpus.txt")
        .read_text("utf-8")
        .strip()
    )
    followers: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for sentence in corpus.split("\n"):
        before, last = START, START
        for word in sentence.split():
            followers[before, last][word] += 1
            before, last = last, word
    return {
        pair: tuple(Candidate(word, math.log(count)) for word, count in counter.most_common())
        for pair, counter in followers.items()
    }
