"""Performs flows: the one place where what a generator asks for is really done.

Every exchange and tool result is journalled before the flow takes its next step, so that a kill never loses a completed one;
the last of a trial goes into its record instead, so that a trial of one exchange writes one line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import count
from typing import Any, Protocol, TypeAlias, TypeVar

from harness.flow import Ask, AskFailed, Flow, Need
from harness.model import Exchange, Request, Response, ToolCall, ToolResult
from harness.records import ExchangeLine, Line, ToolLine

T = TypeVar("T")

CallTool: TypeAlias = Callable[[ToolCall], Awaitable[ToolResult]]


class AskRole(Protocol):
    """Asks the target that plays `role`, at `position` in the flow; every outcome is an Exchange."""

    def __call__(self, role: str, request: Request, position: str) -> Awaitable[Exchange]: ...


class Journal:
    """One trial's completed steps.

    `append` writes a line to the store. `known` are the tool results an earlier session wrote for this trial, by position:
    they are not performed again (its exchanges come back through the replay layer).
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
        self._held: list[Line] = []

    def exchange(self, exchange: Exchange) -> None:
        """Keep a completed exchange; it is written when the flow goes on, or stands in the record."""
        self.exchanges.append(exchange)
        self._held.append(ExchangeLine(self._key, self._repeat, self._session, exchange))

    def tool(self, position: str, result: ToolResult) -> None:
        """Keep a completed tool call."""
        self._held.append(ToolLine(self._key, self._session, position, result))

    def known_tool(self, position: str) -> ToolResult | None:
        """What an earlier session got for the tool call at `position`."""
        return self._known.get(position)

    def flush(self) -> None:
        """Write what is held: the flow takes another step. Raises StoreError."""
        for line in self._held:
            self._append(line)
        self._held.clear()


async def drive(flow: Flow[T], ask: AskRole, call_tool: CallTool, journal: Journal, prefix: str = "t") -> T:
    """Run `flow` to its end and return its value; the k-th thing it asks for is at position `<prefix><k>`."""
    positions = (f"{prefix}{number}" for number in count())
    step: Callable[[], Need | tuple[Need, ...]] = partial(next, flow)
    while True:
        try:
            need = step()
        except StopIteration as ended:
            value: T = ended.value
            return value
        journal.flush()
        answer = await _answer(need, positions, ask, call_tool, journal)
        step = _next_step(flow, answer)


def _next_step(flow: Flow[T], answer: Any) -> Callable[[], Need | tuple[Need, ...]]:
    """A single failed ask is thrown in; everything else is sent."""
    if isinstance(answer, Response) and answer.error is not None:
        return partial(flow.throw, AskFailed(answer))
    return partial(flow.send, answer)


async def _answer(need: Need | tuple[Need, ...], positions: Any, ask: AskRole, call_tool: CallTool, journal: Journal) -> Any:
    if not isinstance(need, tuple):
        return await _perform(need, next(positions), ask, call_tool, journal)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_perform(each, next(positions), ask, call_tool, journal)) for each in need]
    return tuple(task.result() for task in tasks)


async def _perform(need: Need, position: str, ask: AskRole, call_tool: CallTool, journal: Journal) -> Response | ToolResult:
    if isinstance(need, Ask):
        exchange = await ask(need.role, need.request, position)
        journal.exchange(exchange)
        return exchange.response
    known = journal.known_tool(position)
    if known is not None:
        return known
    result = await call_tool(need)
    journal.tool(position, result)
    return result
