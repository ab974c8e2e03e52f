"""What was asked for and does not show in the answer: servers that do not know a parameter often ignore it without a word.

Told from the answer alone, so only where an answer cannot hide it: samples that are not there, log probabilities that are not,
text that is no JSON, a tool that had to be called and was not. The flags are `ignored_` and the parameter's name.
"""

from __future__ import annotations

from typing import Any

from harness.model import FinishReason, Message, Request
from harness.providers.json_text import UnreadableJSONError, loads_text


class IgnoredParameters:
    """Watches the choices of one answer to `request`."""

    __slots__ = ("_logprobs", "_most", "_request", "_samples", "needs_choices")

    def __init__(self, request: Request) -> None:
        wanted = request.sampling.get("n")
        self._request = request
        self._samples = wanted if type(wanted) is int else 1
        self._logprobs = not request.sampling.get("logprobs")
        self._most = 0
        self.needs_choices = self._samples > 1 or not self._logprobs
        """Whether choices are worth showing to `see`."""

    def observe_choices(self, choices: list[Any]) -> None:
        """Take a list of choices, whole or of a stream's chunk."""
        for place, choice in enumerate(choices):
            if isinstance(choice, dict):
                index = choice.get("index")
                self._most = max(self._most, index if type(index) is int else place)
                self._logprobs = self._logprobs or bool(choice.get("logprobs"))

    def flags(self, answer: Message, reason: FinishReason) -> list[str]:
        """What was ignored, of a complete answer."""
        flags = []
        if self._samples > self._most + 1:
            flags.append("ignored_n")
        if not self._logprobs:
            flags.append("ignored_logprobs")
        request = self._request
        if request.response_format is not None and reason == "stop" and not answer.tool_calls and not _is_json(answer.text):
            flags.append("ignored_response_format")
        if request.tool_choice not in (None, "auto", "none") and reason == "stop" and not answer.tool_calls:
            flags.append("ignored_tool_choice")
        return flags


def _is_json(text: str) -> bool:
    try:
        loads_text(text)
    except UnreadableJSONError:
        return False
    return True
