"""What OpenAI's reasoning models refuse, where others of its models take it: they do not ignore what steers sampling.

A temperature and a top_p of 1 are let pass, because they change nothing; penalties and log probabilities are refused while the
model reasons, and it does unless it is told not to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.simulator.apis.openai.checks import Range, check_ranges, invalid_request
from harness.simulator.model.requests import ApiError

MODEL = re.compile(r"(?:gpt-[5-9]|o[1-9](?:-|$))")
MOST_CHOICES = Range("integer", 1, 8)
WHILE_REASONING = ("frequency_penalty", "presence_penalty", "logprobs", "top_logprobs")


def check_chat_request(model: str, body: Mapping[str, Any]) -> None:
    """Refuse a chat request that such a model does not take; raises `ApiError`."""
    if not MODEL.match(model):
        return
    if body.get("max_tokens") is not None:
        raise _unsupported_parameter("max_tokens", " Use 'max_completion_tokens' instead.")
    _check_temperature(body)
    if body.get("top_p") not in (None, 1):
        raise _unsupported_parameter("top_p")
    _check_absent(body, ("stop",) if body.get("reasoning_effort") == "none" else ("stop", *WHILE_REASONING))
    check_ranges(body, {"n": MOST_CHOICES})


def check_responses_request(model: str, body: Mapping[str, Any]) -> None:
    """The same of a Responses request, where a `top_p` of whatever value is refused; raises `ApiError`."""
    if MODEL.match(model):
        _check_temperature(body)
        _check_absent(body, ("top_p", "top_logprobs"))


def _check_temperature(body: Mapping[str, Any]) -> None:
    temperature = body.get("temperature")
    if temperature not in (None, 1):
        raise invalid_request(
            f"Unsupported value: 'temperature' does not support {temperature} with this model. Only the default (1) value is"
            " supported.",
            "temperature",
            "unsupported_value",
        )


def _check_absent(body: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if body.get(name):
            raise _unsupported_parameter(name)


def _unsupported_parameter(name: str, instead: str = "") -> ApiError:
    said = f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
    return invalid_request(said, name, "unsupported_parameter")
