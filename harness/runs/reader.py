"""Reads a run from disk: shared by reports, replay, resuming and notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.model import Record
from harness.runs.blobs import Blobs
from harness.runs.folder import RECORDS, Damage, read_lines, read_manifest
from harness.runs.records import ExchangeLine, Line


class Run:
    """A run folder: its manifest, and readers of its lines. Raises UsageError where `folder` holds
    no run.

    `damage` is what the latest reading found wrong; `blobs` gives images their bytes back.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.damage = Damage()
        self.blobs = Blobs(folder)

    def lines(self) -> Iterator[Line]:
        """Every line that holds, in the order they were written."""
        self.damage = Damage()
        return read_lines(self.folder / RECORDS, self.damage)

    def records(self) -> Iterator[Record]:
        """The records; journal lines of unfinished trials are passed over."""
        return (line for line in self.lines() if isinstance(line, Record))

    def exchanges(self) -> Iterator[ExchangeLine]:
        """Every exchange of the records, the judges' too, with the trial it belongs to."""
        for record in self.records():
            for exchange in (
                *record.exchanges,
                *(each for grade in record.grades for each in grade.exchanges),
            ):
                yield ExchangeLine(record.key, record.repeat, record.session, exchange)

    def warnings(self) -> list[str]:
        """One sentence for each finding of the latest reading."""
        return self.damage.warnings(self.folder / RECORDS)
