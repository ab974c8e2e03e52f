"""Role play: acts as the simulated user of a conversation, by its description, one statement per
message.

The prompt holds the conversation so far between tags (`<conversation …>` … `</conversation …>`),
its turns marked `[user]` and `[assistant]`, and names the word to reply with when there is nothing
left to say. The statements are what the description quotes, else its sentences with "you" turned to
"I"; the number of user turns so far selects the next one.
"""

from __future__ import annotations

import re

from harness.simulator.model.sampler import Candidate
from harness.simulator.model.skills.difficulty import TextGenerator
from harness.simulator.model.skills.judging import MAX_CHARACTERS, PART, QUOTED
from harness.simulator.model.types import Prompt

STOP = re.compile(
    r"\breply with [\"'`*]*([^\s\"'`*]+)[\"'`*]* (?:alone|only|and nothing else)", re.IGNORECASE
)
SPEAKER = re.compile(r"^\[(user|assistant)\]$", re.MULTILINE)
PLAYS = re.compile(r"\b(?:you|to) (?:play|act as|simulate)\b", re.IGNORECASE)
SENTENCE = re.compile(r"[^.!?\n]+[.!?]")
FIRST_PERSON = {
    "you": "I",
    "your": "my",
    "yours": "mine",
    "yourself": "myself",
    "you're": "I'm",
    "are": "am",
}


def propose_answer(prompt: Prompt) -> TextGenerator | None:
    """Answer with the next message; None unless the prompt asks to play a user in a conversation
    that it holds."""
    stop = STOP.search(prompt.instructions)
    if (
        stop is None
        or "<conversation" not in prompt.question
        or not PLAYS.search(prompt.instructions)
    ):
        return None
    held = next(
        (
            match["text"]
            for match in PART.finditer(prompt.question)
            if match["name"] == "conversation"
        ),
        None,
    )
    return (
        None
        if held is None
        else _next_message(_scripted_lines(prompt.instructions[:MAX_CHARACTERS]), held, stop[1])
    )


def _next_message(lines: list[str], held: str, stop: str) -> TextGenerator:
    speakers = SPEAKER.findall(held)
    number = max(speakers.count("user") - 1, 0)  # the first message is the prompt's
    return (yield [Candidate(lines[number] if number < len(lines) else stop, 1.0)])


def _scripted_lines(instructions: str) -> list[str]:
    """The user's statements, from the paragraphs that describe the person and not from those about
    how to play."""
    paragraphs = instructions.split("\n\n")
    how = (STOP, PLAYS, re.compile("conversation", re.IGNORECASE))
    described = (
        "\n\n".join(part for part in paragraphs if not any(each.search(part) for each in how))
        or instructions
    )
    quoted = [match[1] for match in QUOTED.finditer(described)]
    words = [sentence.strip().split(" ") for sentence in SENTENCE.findall(described)]
    return quoted or [
        " ".join(FIRST_PERSON.get(word.lower(), word) for word in sentence) for sentence in words
    ]
