"""The state a run is resumed from: which trials are final, and the journals of those that are still
pending."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct, field

from harness.errors import UsageError
from harness.flows.base import FIRST
from harness.model import Error, Exchange, Record, ToolResult
from harness.model.error_kinds import INTERRUPTED, SERVICE_KINDS, TARGET_KINDS
from harness.runs.folder import RECORDS, Damage, read_lines
from harness.runs.records import BatchLine, ExchangeLine, Line, ToolLine


class FinalKeys:
    """Which trials need nothing more: a sorted array of 64-bit key
    prefixes, eight bytes a trial."""

    def __init__(self, prefixes: Iterable[int] = ()) -> None:
        self._keys = array("Q", sorted(prefixes))

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        if not self._keys:
            return False
        wanted = key_prefix(key)
        at = bisect_left(self._keys, wanted)
        return at < len(self._keys) and self._keys[at] == wanted


def key_prefix(key: str) -> int:
    """The first 64 bits of a trial's key."""
    return int(key[:16], 16)


class ResumeState(Struct):
    """What a run folder already holds, so that only pending trials are asked.

    `finished` counts final trials by target. `exchanges` and `tools` (by trial key, then position)
    are the journals of trials that are not final, `batches` (by trial key) the batches that their
    answers are still to come from. `spent` is US dollars over every distinct exchange, whatever
    became of its trial. `size` is the bytes of whole lines that it was read from.
    """

    final: FinalKeys = field(default_factory=FinalKeys)
    finished: Counter[str] = field(default_factory=Counter)
    exchanges: list[ExchangeLine] = field(default_factory=list)
    tools: dict[str, dict[str, ToolResult]] = field(default_factory=dict)
    batches: dict[str, BatchLine] = field(default_factory=dict)
    spent: float = 0.0
    damage: Damage = field(default_factory=Damage)
    size: int = 0

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        retry_errors: bool = False,
        spent: Callable[[Exchange], float] = lambda each: each.cost.usd or 0.0,
    ) -> ResumeState:
        """Scan a run folder once; memory is some hundred bytes a final trial plus the unfinished
        trials' journals.

        `spent` is the US dollars to reckon for an exchange, by default what is known of its cost.
        """
        scan, damage = _RunScan(retry_errors, spent), Damage()
        size = _file_size(
            folder / RECORDS
        )  # before the lines: what another process adds while they are read must not pass
        for line in read_lines(folder / RECORDS, damage):
            scan.add_line(line)
        if damage.carriage_returns:
            raise UsageError(
                f"{folder / RECORDS}: its lines end in CR LF, so the file was converted after the"
                " run wrote it, most likely by git: add the line `*.jsonl -text` to"
                " .gitattributes and check the file out again, or remove the carriage returns"
                " (`sed -i 's/\\r$//'`); then resume"
            )
        ended = {key: target for key, target in scan.ended.items() if target is not None}
        exchanges = [line for lines in scan.journal.values() for line in lines]
        final, finished = FinalKeys(ended), Counter(ended.values())
        return cls(
            final,
            finished,
            exchanges,
            scan.tools,
            scan.batches,
            scan.spent,
            damage,
            size - damage.torn,
        )


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class _RunScan:
    """Follows the lines of a run: which trials ended (at which target), and what the others have so
    far."""

    def __init__(self, retry_errors: bool, spent: Callable[[Exchange], float]) -> None:
        self.ended: dict[int, str | None] = {}
        self.journal: dict[str, list[ExchangeLine]] = {}
        self.tools: dict[str, dict[str, ToolResult]] = {}
        self.batches: dict[str, BatchLine] = {}
        self.spent = 0.0
        self._retry_errors, self._spent = retry_errors, spent

    def add_line(self, line: Line) -> None:
        """Take the next line."""
        if isinstance(line, ToolLine):
            self.tools.setdefault(line.key, {})[line.position] = line.result
        elif isinstance(line, ExchangeLine):
            self._add_exchange(line)
        elif isinstance(line, BatchLine):
            self.batches.update(dict.fromkeys(line.trials, line))
        else:
            self._add_record(line)

    def _add_exchange(self, line: ExchangeLine) -> None:
        if line.exchange.position == FIRST and line.exchange.response.error is None:
            self.batches.pop(line.key, None)
        known = self.journal.setdefault(line.key, [])
        if all(line.exchange != each.exchange for each in known):
            known.append(line)
            if line.exchange.response.replayed is None:
                self.spent += self._spent(line.exchange)

    def _add_record(self, record: Record) -> None:
        for exchange in (
            *record.exchanges,
            *(each for grade in record.grades for each in grade.exchanges),
        ):
            self._add_exchange(ExchangeLine(record.key, record.repeat, record.session, exchange))
        if (
            record.error is None or record.error.kind not in TARGET_KINDS
        ):  # else the batch could only not be asked after
            self.batches.pop(record.key, None)
        ended = is_final(record, retry_errors=self._retry_errors)
        self.ended[key_prefix(record.key)] = sys.intern(record.target) if ended else None
        if ended:
            self.journal.pop(record.key, None)
            self.tools.pop(record.key, None)


def is_final(record: Record, *, retry_errors: bool = False) -> bool:
    """Whether a trial needs nothing more: it was answered and graded, or its error would only
    happen again.

    Errors of the server and others that are retryable, a judge's too, answers that were empty or
    unreadable, and whatever a budget, an interrupt or a refused API key stopped are not final;
    permanent ones are, unless `retry_errors`.
    """
    return not any(
        error is not None and (retry_errors or _may_succeed_later(error))
        for error in (record.error, *(grade.error for grade in record.grades))
    )


def _may_succeed_later(error: Error) -> bool:
    """Whether the error may be gone when the trial is run again as it is."""
    return (
        error.retryable
        or error.boundary == "budget"
        or error.kind == INTERRUPTED
        or error.kind in TARGET_KINDS
        or (error.boundary == "provider" and error.kind in SERVICE_KINDS)
        or (error.status is not None and error.status >= 500)
    )
