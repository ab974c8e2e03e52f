"""Drives flows: performs what a generator asks for, and sends it the answer.

Every exchange and tool result is journalled before the flow takes its next step, so that a kill
never loses a completed one; the last of a trial goes into its record instead, so that a trial of
one exchange writes one line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from harness.flows.base import Ask, AskFailed, Flow, FunctionCall, Need
from harness.model import Exchange, Request, Response, ToolCall, ToolResult
from harness.runs.records import ExchangeLine, Line, ToolLine

T = TypeVar("T")

CallTool: TypeAlias = Callable[[ToolCall | FunctionCall], Awaitable[ToolResult]]


class AskRole(Protocol):
    """Asks who plays `role`, at `position` in the flow: the trial's target, or the one named
    `target`. Never fails."""

    def __call__(
        self, role: str, request: Request, position: str, target: str | None = None
    ) -> Awaitable[Exchange]: ...


class Journal:
    """One trial's completed steps.

    `append` writes a line to the store. `known` are the tool results an earlier session wrote for
    this trial, by position: they are not performed again (its exchanges come back through the
    replay layer).
    """

    def __init__(
        self,
        key: str,
        repeat: int,
        session: str,
        append: Callable[[Line], None],
        known: Mapping[str, ToolResult] | None = None,
    ) -> None:
        self.exchanges: list[Exchange] = []
        self._key, self._repeat, self._session, self._append = key, repeat, session, append
        self._known = known or {}
        self._held: list[Exchange | ToolLine] = []

    def add_exchange(self, exchange: Exchange) -> None:
        """Keep a completed exchange; it is written when the flow goes on,
        or stands in the record."""
        self.exchanges.append(exchange)
        self._held.append(exchange)

    def add_tool_result(self, position: str, result: ToolResult) -> None:
        """Keep a completed tool call."""
        self._held.append(ToolLine(self._key, self._session, position, result))

    def known_tool(self, position: str, call: str) -> ToolResult | None:
        """What an earlier session got for the tool call of that id at `position`.

        Where the answer before it had to be asked for again, another call may stand there now.
        """
        known = self._known.get(position)
        return known if known is not None and known.id == call else None

    def write_pending(self) -> None:
        """Write what is held: the flow takes another step. Raises StoreError."""
        for held in self._held:
            self._append(self._exchange_line(held) if isinstance(held, Exchange) else held)
        self._held.clear()

    def _exchange_line(self, exchange: Exchange) -> ExchangeLine:
        return ExchangeLine(self._key, self._repeat, self._session, exchange)


async def drive(
    flow: Flow[T], ask: AskRole, call_tool: CallTool, journal: Journal, prefix: str = "t"
) -> T:
    """Run `flow` to its end and return its value; the k-th thing it asks for is at position
    `<prefix><k>`."""
    asked = 0
    answer: Any = None
    while True:
        try:
            need = _advance_flow(flow, answer)
        except StopIteration as ended:
            value: T = ended.value
            return value
        journal.write_pending()
        if isinstance(need, tuple):
            positions = [f"{prefix}{asked + place}" for place in range(len(need))]
            answer = await _perform_needs(need, positions, ask, call_tool, journal)
            asked += len(need)
        else:
            answer = await _perform_need(need, f"{prefix}{asked}", ask, call_tool, journal)
            asked += 1


def _advance_flow(flow: Flow[T], answer: Any) -> Need | tuple[Need, ...]:
    """What the flow needs next, given the answer to its last need (None to begin): a single failed
    ask is thrown in."""
    if isinstance(answer, Response) and answer.error is not None:
        return flow.throw(AskFailed(answer))
    return flow.send(answer)


async def _perform_needs(
    needs: tuple[Need, ...],
    positions: Sequence[str],
    ask: AskRole,
    call_tool: CallTool,
    journal: Journal,
) -> tuple[Response | ToolResult, ...]:
    performed = zip(needs, positions, strict=True)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_perform_need(need, position, ask, call_tool, journal))
            for need, position in performed
        ]
    return tuple(task.result() for task in tasks)


async def _perform_need(
    need: Need, position: str, ask: AskRole, call_tool: CallTool, journal: Journal
) -> Response | ToolResult:
    if isinstance(need, Ask):
        exchange = await ask(need.role, need.request, position, need.target)
        journal.add_exchange(exchange)
        return exchange.response
    known = journal.known_tool(position, need.id)
    if known is not None:
        return known
    result = await call_tool(need)
    journal.add_tool_result(position, result)
    if isinstance(need, FunctionCall):
        # The model receives the error, so the flow continues; a sibling may still run for long.
        journal.write_pending()
    return result
