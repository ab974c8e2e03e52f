"""An answer of another model than the one asked for: said once for each target, or, where the run wants that, no answer at all.

A server that does not know a model may serve its default instead, and many echo any name. Both names are on the record: the
asked one with the target, the served one with the response. An answer that came in a batch is no attempt's own: it is handed to
`ModelCheck.checked` by whoever takes the batch apart.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from harness.model import Call, Error, Response, Target
from harness.model.error_kinds import MODEL_MISMATCH
from harness.providers.served_model import PROVIDERS_WITH_OWN_NAMES, is_same_model
from harness.transport.middleware.limit import SendOnSlot, Slot


class ModelCheck:
    """Compares what was served with what was asked for; `say` is told once a target, `refuse` makes it an error."""

    def __init__(self, say: Callable[[str], None], *, refuse: bool) -> None:
        self._say, self._refuse = say, refuse
        self._said: set[str] = set()

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
        message = f"target {target.name!r} was asked for the model {target.model} and answered as {served}"
        if self._refuse:
            return _refuse_response(response, message)
        if target.name not in self._said:
            self._said.add(target.name)
            self._say(f"warning: {message}: what is measured may be another model")
        return response

    def layer(self, inner: SendOnSlot) -> SendOnSlot:
        """`inner`, whose answers are checked."""

        async def send(call: Call, slot: Slot) -> Response:
            return self.check_response(call.target, await inner(call, slot))

        return send


def _refuse_response(response: Response, message: str) -> Response:
    """The response as an error, unless it is one: its text, marks and cost are kept."""
    if response.error is not None:
        return response
    error = Error("provider", MODEL_MISMATCH, f"{message} (refused by `run: {{model_mismatch: error}}`)")
    attempts = (*response.attempts[:-1], *(replace(each, error=error) for each in response.attempts[-1:]))
    return replace(response, error=error, attempts=attempts, finish_reason=None)
