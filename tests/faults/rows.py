"""A table of faults and one `harness run` through all of it: each row is a case, the server does to
it what the row says.

So every row is proved by what was sent, recorded, read back and reported by the whole program, and
costs no run of its own.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from harness.errors import ExitCode
from harness.model import STALLED, Record, Response
from harness.runs.folder import read_records
from tests.support import Command
from tests.transport.servers import GOOD_STREAM, Answer, Peer, Received, Server, sends, serving

GOOD = sends(*GOOD_STREAM, then="keep")


def row(*ids: str) -> pytest.MarkDecorator:
    """Says which rows of the fault table a test proves: its id in the test report, `pytest
    -k N01`."""
    return pytest.mark.parametrize("row", ids, indirect=True)


@dataclass(frozen=True)
class Row:
    """A fault and what must become of the trial that meets it.

    `answers` are given to its first, second, … try, the last one to all further ones. `tries` is
    the error kind of each attempt, None for success; `says` is in the last one's message; `text` is
    what is kept of the answer.
    """

    id: str
    provoked: str
    answers: tuple[Answer, ...]
    text: str | None = "Hello"
    tries: tuple[str | None, ...] = (None,)
    says: str = ""
    flags: tuple[str, ...] = ()
    also: Callable[[Record, Response], None] | None = None


@dataclass(frozen=True)
class Proof:
    """What a run through a table left behind."""

    folder: Path
    records: dict[str, Record]
    asked: dict[str, int]
    requests: list[Received]
    out: str

    def check(self, row: Row) -> None:
        """The trial of `row` ended as the row says."""
        record = self.records[row.id]
        response = record.response
        assert response is not None
        assert (
            tuple(attempt.error and attempt.error.kind for attempt in response.attempts)
            == row.tries
        )
        assert self.asked[row.id] == len(row.tries)
        assert row.text in (None, response.text)
        assert {*response.flags} - {STALLED} == {*row.flags}
        assert record.error == response.error
        assert (record.error is None) is (row.tries[-1] is None)
        if record.error is not None:
            assert record.score is None and record.passed is None
            assert row.says in record.error.message
            assert record.error.message.isprintable()
        if row.also is not None:
            row.also(record, response)


@contextmanager
def background(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server as `serving` makes it, in a thread of its own: for a command that occupies
    this one."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(answer, context)) as server,
    ):
        yield server


SUITE = """
suite: faults
prompts:
  - {{id: only, user: "row [{{{{ row }}}}]"}}
cases:
{cases}
graders:
  - {{contains: e}}
targets:
{targets}
sampling: {{max_tokens: 64}}
run: {{max_error_rate: 100%, {run}}}
"""


def write_suite(folder: Path, cases: Iterable[str], run: str, **urls: str) -> Path:
    """A suite with a case of each name, for each target (name = base URL; its model is called as it
    is); returns its path."""
    path = folder / "suite.yaml"
    rows = "\n".join(f'  - {{id: "{name}", vars: {{row: "{name}"}}}}' for name in cases)
    price = "price: {input: 1, output: 2}"
    targets = "\n".join(
        f'  - {{name: {name}, provider: openai, base_url: "{url}", model: {name}, {price}}}'
        for name, url in urls.items()
    )
    path.write_text(SUITE.format(cases=rows, targets=targets, run=run))
    return path


_ASKED = re.compile(rb"row \[(.*?)\]")


def run_rows(folder: Path, rows: Sequence[Row], *, stream: bool, timeout: str) -> Proof:
    """Run a suite with a case for each row."""
    by_id = {each.id: each for each in rows}
    assert len(by_id) == len(rows)
    asked = dict.fromkeys(by_id, 0)

    def answer(request: Received, peer: Peer) -> Awaitable[None]:
        found = _ASKED.search(request.body)
        assert found is not None
        name = found[1].decode()
        answers, asked[name] = by_id[name].answers, asked[name] + 1
        return answers[min(asked[name], len(answers)) - 1](request, peer)

    settings = f"concurrency: 32, retries: 1, stream: {str(stream).lower()}, timeout: {timeout}"
    with background(answer) as server:
        ended = Command(folder)(
            "run", write_suite(folder, by_id, settings, tiny=server.url), "--out", "run"
        )
    assert ended.code == ExitCode.OK, ended.err
    records = {record.case: record for record in read_records(folder / "run")}
    return Proof(folder / "run", records, asked, server.received, ended.out)


def table(rows: Sequence[Row]) -> pytest.MarkDecorator:
    """A test for each row, by its id."""
    return pytest.mark.parametrize("proved", [pytest.param(each, id=each.id) for each in rows])


def paused(seconds: float, *later: bytes, first: Sequence[bytes] = ()) -> Answer:
    """An answer that stops for a while before its last packets."""

    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(*first)
        await asyncio.sleep(seconds)
        await peer.send(*later)

    return answer


def frames(proof: Proof) -> Any:
    """The run's trials as the report's frames have them, by row id."""
    from harness import load_run

    return load_run(proof.folder).trials.set_index("case")
