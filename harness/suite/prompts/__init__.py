"""Prompts, in every form in which they are written, and the later turns of a conversation."""

from harness.suite.prompts.later_turns import LaterTurnReader, turn_roles, turn_variables
from harness.suite.prompts.prompt_reader import PromptReader

__all__ = ["LaterTurnReader", "PromptReader", "turn_roles", "turn_variables"]
