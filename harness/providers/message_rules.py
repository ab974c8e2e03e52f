"""What most formats of conversations cannot carry, refused in the same words; `service` is whose format it is."""

from __future__ import annotations

from collections.abc import Sequence

from harness.model import Image, Message, Request, Target


def reject_raw_prompt(target: Target, request: Request, service: str) -> None:
    """Raises ValueError for a request that is a raw prompt."""
    if request.prompt is not None or request.raw:
        raise ValueError(f"target {target.name}: {service} takes messages; a raw prompt needs another provider")


def split_system_messages(
    target: Target, messages: Sequence[Message], service: str
) -> tuple[Sequence[Message], Sequence[Message]]:
    """The system messages at the start, and the turns after them. Raises ValueError where the former are more than text."""
    first = next((place for place, turn in enumerate(messages) if turn.role != "system"), len(messages))
    if any(contains_image(turn) for turn in messages[:first]):
        raise ValueError(f"target {target.name}: {service} takes no images in a system message; show them in a user's turn")
    return messages[:first], messages[first:]


def reject_late_system(target: Target, turns: Sequence[Message], service: str) -> None:
    """Raises ValueError for a system message among the turns after the opening."""
    if any(turn.role == "system" for turn in turns):
        raise ValueError(f"target {target.name}: {service} takes system text only before the first turn; move it there")


def contains_image(turn: Message) -> bool:
    """Whether there is an image in it."""
    return not isinstance(turn.content, str) and any(isinstance(part, Image) for part in turn.content)
