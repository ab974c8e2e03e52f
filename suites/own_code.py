"""The code under test of own-code.yaml: replace it by a call of your application."""

from typing import Any


def answer(request: dict[str, Any]) -> str:
    """The answer to the last message of `request`."""
    question = request["messages"][-1]["content"].lower()
    if "open" in question:
        return "We open at nine."
    if "return" in question:
        return "Within 30 days."
    return "I do not know."
