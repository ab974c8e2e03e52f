"""Checks that the served model is the requested one: warns once for each target, or refuses
the answer.

A server that does not know a model may serve its default instead, and many echo any name. Both
names are on the record: the asked one with the target, the served one with the response. An answer
that came in a batch is no attempt's own: `ModelCheck.check_response` gets it from whoever takes the
batch apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from msgspec.structs import replace

from harness.model import Call, Error, Response, Target
from harness.model.error_kinds import MODEL_MISMATCH
from harness.providers.served_model import PROVIDERS_WITH_OWN_NAMES, is_same_model
from harness.transport.middleware.limit import SendOnSlot, Slot


class ModelCheck:
    """A layer that compares the served model with the target's; `say` warns, `refuse` makes a
    mismatch an error."""

    def __init__(self, say: Callable[[str], None], *, refuse: bool) -> None:
        self._say, self._refuse = say, refuse
        self._warned: set[str] = set()

    def around(self, inner: SendOnSlot) -> Self:
        """This layer, around `inner`."""
        self._inner = inner
        return self

    async def __call__(self, call: Call, slot: Slot) -> Response:
        """The inner Response, checked."""
        response = await self._inner(call, slot)
        served = response.model
        return (
            response
            if served is None or served == call.target.model
            else self.check_response(call.target, response)
        )

    def check_response(self, target: Target, response: Response) -> Response:
        """The response as it is, or refused."""
        served = response.model
        if (
            served is None
            or served == target.model
            or is_same_model(target.model, served)
            or target.provider in PROVIDERS_WITH_OWN_NAMES
        ):
            return response
        message = (
            f"target {target.name!r} was asked for the model {target.model} but reports {served}"
        )
        if self._refuse:
            return _refuse_response(response, message)
        if target.name not in self._warned:
            self._warned.add(target.name)
            self._say(f"warning: {message}: these results may be from another model")
        return response


def _refuse_response(response: Response, message: str) -> Response:
    """The response as an error, unless it is one: its text, marks and cost are kept."""
    if response.error is not None:
        return response
    error = Error(
        "provider", MODEL_MISMATCH, f"{message} (refused by `run: {{model_mismatch: error}}`)"
    )
    attempts = (
        *response.attempts[:-1],
        *(replace(each, error=error) for each in response.attempts[-1:]),
    )
    return replace(response, error=error, attempts=attempts, finish_reason=None)
