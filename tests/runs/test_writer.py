"""What was acknowledged can be read back, whatever happened to the process or the disk since."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.errors import StoreError, UsageError
from harness.model import Cost, Error, Exchange, Grade, Manifest, Message, Record, Request, Response
from harness.runs import records, writer
from harness.runs.folder import (
    LOCK,
    RECORDS,
    Damage,
    acquire_lock,
    create_folder,
    read_lines,
    read_manifest,
    write_manifest,
)
from harness.runs.records import ExchangeLine
from harness.runs.redaction import Redactor
from harness.runs.resume_state import FinalKeys, ResumeState, is_final, key_prefix
from harness.runs.writer import RunWriter

MANIFEST = Manifest("r1", "s", "2026-01-01T00:00:00+00:00", "suites/s.yaml", 3, "3 requests")


def key_of(number: int) -> str:
    return f"{number:016x}" + "0" * 16


def record(number: int, error: Error | None = None) -> Record:
    key = key_of(number)
    exchange = Exchange(
        "t0",
        "target",
        "m",
        Request((Message("user", f"q{number}"),)),
        Response(Message("assistant", "a")),
    )
    return Record(key, "e", f"c{number}", "p", "m", {}, 0, "s1", (exchange,), error=error)


def written(folder: Path, *lines: records.Line) -> None:
    async def write() -> None:
        async with RunWriter(folder, Redactor({})) as store:
            for line in lines:
                store.append(line)

    asyncio.run(write())


def read(folder: Path) -> tuple[list[records.Line], Damage]:
    damage = Damage()
    return list(read_lines(folder / RECORDS, damage)), damage


def test_lines_come_back_in_order_and_a_second_session_goes_on_behind_them(tmp_path: Path) -> None:
    written(tmp_path, record(1), record(2))
    written(tmp_path, record(3))
    assert read(tmp_path) == ([record(1), record(2), record(3)], Damage())


def test_a_torn_tail_is_dropped_alone_at_every_byte_and_overwritten(tmp_path: Path) -> None:
    written(tmp_path, record(1), record(2))
    whole = (tmp_path / RECORDS).read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        (tmp_path / RECORDS).write_bytes(whole[:length])
        lines, damage = read(tmp_path)
        assert lines == [record(1)]
        assert damage.torn == length - first
    written(tmp_path, record(3))
    assert read(tmp_path) == ([record(1), record(3)], Damage())


def test_a_flipped_bit_is_told_with_its_line_and_spoils_no_other(tmp_path: Path) -> None:
    written(tmp_path, record(1), record(2), record(3))
    raw = bytearray((tmp_path / RECORDS).read_bytes())
    raw[len(raw) // 2] ^= 4
    (tmp_path / RECORDS).write_bytes(raw)
    lines, damage = read(tmp_path)
    assert lines == [record(1), record(3)]
    assert "2: the checksum does not match" in damage.warnings(tmp_path / RECORDS)[0]


def test_a_second_process_is_refused_and_told_who_holds_the_run(tmp_path: Path) -> None:
    async def both() -> None:
        async with RunWriter(tmp_path, Redactor({})):
            with pytest.raises(UsageError, match=f"pid {os.getpid()}"):
                await RunWriter(tmp_path, Redactor({})).__aenter__()

    asyncio.run(both())


def test_removing_the_lock_file_lets_no_second_process_in(tmp_path: Path) -> None:
    async def both() -> None:
        async with RunWriter(tmp_path, Redactor({})) as first:
            first.append(record(1))
            (tmp_path / LOCK).unlink()
            with pytest.raises(UsageError, match="another process is writing this run"):
                await RunWriter(tmp_path, Redactor({})).__aenter__()
            first.append(record(2))

    asyncio.run(both())
    assert read(tmp_path) == ([record(1), record(2)], Damage())
    written(tmp_path, record(3))


TAMPERING: dict[str, Callable[[Path], object]] = {
    "the folder is removed": shutil.rmtree,
    "the file is removed": lambda folder: (folder / RECORDS).unlink(),
    "the file is replaced": lambda folder: (
        (folder / RECORDS).rename(folder / "old") and (folder / RECORDS).write_bytes(b"")
    ),
    "the file is emptied": lambda folder: (folder / RECORDS).write_bytes(b""),
    "a line is cut off": lambda folder: os.truncate(folder / RECORDS, 9),
    "a line is added": lambda folder: os.truncate(folder / RECORDS, 99_999),
}


@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=TAMPERING)
def test_records_that_change_under_a_run_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tamper: Callable[[Path], object]
) -> None:
    """At the next write, or where nothing is written, at the next sync."""
    monkeypatch.setattr(writer, "DURABLE_EVERY", 0.01)
    folder, told = tmp_path / "run", asyncio.Event()
    folder.mkdir()

    async def work() -> None:
        async with RunWriter(folder, Redactor({}), lambda reason: told.set()) as store:
            store.append(record(1))
            tamper(folder)
            if folder.exists() and (folder / RECORDS).exists() and not (folder / "old").exists():
                store.append(record(2))
            await asyncio.wait_for(told.wait(), 5)
            store.append(record(3))

    with pytest.raises(StoreError, match="was removed, replaced or shortened"):
        asyncio.run(work())


def test_converted_line_ends_are_read_and_not_gone_on_with(tmp_path: Path) -> None:
    written(tmp_path, record(1), record(2))
    path = tmp_path / RECORDS
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    found, damage = read(tmp_path)
    assert (found, damage.corrupt) == ([record(1), record(2)], [])
    with pytest.raises(UsageError, match=r"end in CR LF.*\.gitattributes"):
        ResumeState.read(tmp_path)


def test_the_lock_of_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, signal, sys; from pathlib import Path; from harness.runs.writer import RunWriter\n"
        "from harness.runs.redaction import Redactor\n"
        "async def hold():\n"
        "    async with RunWriter(Path(sys.argv[1]), Redactor({})):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(hold())"
    )
    died = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL
    written(tmp_path, record(1))
    assert read(tmp_path)[0] == [record(1)]


def test_a_full_disk_ends_the_run_with_a_sentence_and_keeps_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    line_bytes = len(records.encode_line(record(1)))
    script = (
        "import asyncio, resource, signal, sys; from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2]); from test_writer import record, RunWriter, StoreError, Redactor\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))\n"
        "async def fill():\n"
        "    async with RunWriter(Path(sys.argv[1]), Redactor({})) as store:\n"
        "        for number in range(1, 100):\n"
        "            store.append(record(number)); print(number, flush=True)\n"
        "try:\n    asyncio.run(fill())\n"
        "except StoreError as full:\n    print(full)"
    )
    limit = line_bytes * 5 + line_bytes // 2
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    *acknowledged, message = ended.stdout.splitlines()
    assert acknowledged == ["1", "2", "3", "4", "5"]
    assert "harness resume" in message
    assert read(tmp_path) == ([record(number) for number in range(1, 6)], Damage())
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_fsync_under_way_ends_before_its_file_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The regular fsync runs in a thread: leaving the store in the middle of it must not pull the
    file from under it."""
    begun, go_on, synced = threading.Event(), threading.Event(), []
    fsync = os.fsync

    def slow(file: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            go_on.wait(10)
        fsync(file)
        synced.append(file)

    async def work() -> None:
        async with RunWriter(tmp_path, Redactor({})) as store:
            store.append(record(1))
            await asyncio.to_thread(begun.wait, 10)
            asyncio.get_running_loop().call_later(0.05, go_on.set)

    monkeypatch.setattr(os, "fsync", slow)
    asyncio.run(work())
    assert begun.is_set()
    assert len(synced) == 2  # on opening, and in the thread; nothing was left for the end
    assert read(tmp_path)[0] == [record(1)]


def test_secrets_are_cleaned_from_every_line(tmp_path: Path) -> None:
    async def write() -> None:
        async with RunWriter(tmp_path, Redactor({"MY_KEY": "canary-4711"})) as store:
            store.append(replace(record(1), case="says canary-4711"))

    asyncio.run(write())
    assert b"canary" not in (tmp_path / RECORDS).read_bytes()
    assert read(tmp_path)[0] == [
        replace(record(1), case="says [redacted MY_KEY]", flags=("redacted",))
    ]


def test_overwriting_removes_a_run_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    create_folder(folder)
    write_manifest(folder, MANIFEST, Redactor({}))
    written(folder, record(1))
    (folder / "plots").mkdir()
    (folder / "report.html").write_text("old")
    with pytest.raises(UsageError, match="--overwrite"):
        create_folder(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="notes"):
        create_folder(folder, overwrite=True)
    assert len(read(folder)[0]) == 1
    (folder / "notes.txt").unlink()
    lock = acquire_lock(folder / LOCK)
    with pytest.raises(UsageError, match="is writing this run"):
        create_folder(folder, overwrite=True)
    os.close(lock)
    create_folder(folder, overwrite=True)
    assert not list(folder.iterdir())


def test_a_run_killed_before_its_manifest_was_written_is_not_in_the_way(tmp_path: Path) -> None:
    written(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {LOCK, RECORDS}
    create_folder(tmp_path)
    written(tmp_path, record(1))
    with pytest.raises(UsageError, match="other files"):
        create_folder(tmp_path)


def test_another_programs_manifest_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "web app"}')
    with pytest.raises(UsageError, match="manifest"):
        create_folder(tmp_path, overwrite=True)
    assert (tmp_path / "manifest.json").exists()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be created"):
        create_folder(tmp_path / "file" / "run")


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious")
    (tmp_path / RECORDS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        written(tmp_path, record(1))
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_the_manifest_comes_back(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST, Redactor({}))
    assert read_manifest(tmp_path) == MANIFEST


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "not a run folder"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"schema": 99}', "newer version"),
        ('{"id": 1}', "damaged"),
    ],
)
def test_a_manifest_that_is_none_is_refused_with_a_sentence(
    tmp_path: Path, content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=says):
        read_manifest(tmp_path)


TIMED_OUT = Error("transport", "timeout_total", "slow", retryable=True)
REFUSED = Error("provider", "bad_request", "no")


@pytest.mark.parametrize(
    ("error", "retry_errors", "final"),
    [
        (None, False, True),
        (TIMED_OUT, False, False),
        (REFUSED, False, True),
        (REFUSED, True, False),
        (Error("budget", "exhausted", "spent"), False, False),
        (Error("transport", "interrupted", "stopped"), False, False),
        (Error("provider", "unauthorized", "bad key"), False, False),
    ],
)
def test_which_records_are_final(error: Error | None, retry_errors: bool, final: bool) -> None:
    assert is_final(record(1, error), retry_errors=retry_errors) is final


def test_a_judge_that_could_not_be_asked_leaves_the_trial_owed() -> None:
    assert not is_final(replace(record(1), grades=(Grade("judge", None, error=TIMED_OUT),)))


def test_what_a_run_owes_is_read_from_its_lines(tmp_path: Path) -> None:
    journal = ExchangeLine(key_of(4), 0, "s1", record(4).exchanges[0])
    written(tmp_path, record(1), record(2, TIMED_OUT), record(3, TIMED_OUT), record(3), journal)
    owed = ResumeState.read(tmp_path)
    assert [key_of(number) in owed.final for number in (1, 2, 3, 4)] == [True, False, True, False]
    assert [line.key for line in owed.exchanges] == [key_of(2), key_of(4)]


def test_an_exchange_that_stands_in_the_journal_and_in_its_record_was_paid_once(
    tmp_path: Path,
) -> None:
    paid = replace(record(1).exchanges[0], cost=Cost(priced=0.25))
    written(
        tmp_path,
        ExchangeLine(key_of(1), 0, "s1", paid),
        replace(record(1, TIMED_OUT), exchanges=(paid,)),
    )
    assert ResumeState.read(tmp_path).spent == 0.25


def test_final_keys_are_found_among_a_hundred_thousand_others() -> None:
    keys = [blake2b(str(number).encode(), digest_size=16).hexdigest() for number in range(100_000)]
    final = FinalKeys(key_prefix(each) for each in keys[::2])
    assert [each in final for each in keys[:1000]] == [True, False] * 500
