"""What the children of `test_background` do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from harness.errors import StoreError


class Echo:
    """Yields the job's items; prints on the way, as a library might."""

    def load(self) -> Iterator[None]:
        print("loading")
        yield

    def expect_job(self) -> None:
        print("expecting")

    def perform(self, job: list[Any]) -> Iterator[Any]:
        for item in job:
            print("performing", file=sys.stdout, flush=True)
            yield item


class FullDisk(Echo):
    """Ends in an error that a user can do something about."""

    def perform(self, job: list[Any]) -> Iterator[Any]:
        yield from job
        raise StoreError("report.html: cannot be written: No space left on device")


class Buggy(Echo):
    """Ends in a bug."""

    def perform(self, job: list[Any]) -> Iterator[Any]:
        yield from job
        raise ZeroDivisionError("a bug of ours")


class Unloadable(Echo):
    """Has a bug in what it imports."""

    def load(self) -> Iterator[None]:
        raise ImportError("no such library")
        yield


class Endless(Echo):
    """Says that it has begun, and computes for ever."""

    def perform(self, job: list[Any]) -> Iterator[Any]:
        yield os.getpid()
        while True:
            pass


class Garbling(Echo):
    """Writes what is no message into every pipe it has."""

    def perform(self, job: list[Any]) -> Iterator[Any]:
        for number in range(3, 12):
            with suppress(OSError):
                os.write(number, b"\x80\x05cno_such\nname\n.")
        yield from job


class Sleepy(Echo):
    """Takes for ever to load."""

    def load(self) -> Iterator[None]:
        time.sleep(600)
        yield
