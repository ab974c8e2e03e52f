"""Images of a run folder: once each, in place before their line, given back as they were or told to
be lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from harness.model import Exchange, Grade, Image, Message, Record, Request, Response, Text
from harness.runs.blobs import Blobs
from harness.runs.folder import BLOBS, RECORDS, Damage, read_lines
from harness.runs.records import ExchangeLine, Line
from harness.runs.redaction import Redactor
from harness.runs.writer import RunWriter
from tests.pictures import as_image, noise, picture

LARGE, SMALL = as_image(noise()), as_image(picture())


def exchange(*images: Image) -> Exchange:
    return Exchange(
        "t0",
        "target",
        "m",
        Request((Message("user", (*images, Text("What?"))),)),
        Response(Message("assistant", "a")),
    )


def record(*images: Image) -> Record:
    return Record("0" * 32, "e", "c", "p", "m", {}, 0, "s1", (exchange(*images),))


def written(folder: Path, *lines: Line) -> None:
    async def write() -> None:
        async with RunWriter(folder, Redactor({})) as store:
            for line in lines:
                store.append(line)

    asyncio.run(write())


def read(folder: Path) -> list[Line]:
    damage = Damage()
    lines = list(read_lines(folder / RECORDS, damage))
    assert damage == Damage()
    return lines


def test_a_large_image_is_stored_once_and_given_back(tmp_path: Path) -> None:
    judged = replace(
        record(LARGE, SMALL), grades=(Grade("judge", True, exchanges=(exchange(LARGE),)),)
    )
    journal = ExchangeLine("0" * 32, 0, "s1", exchange(LARGE))
    written(tmp_path, journal, judged, record(SMALL))
    written(tmp_path, judged)
    (blob,) = (tmp_path / BLOBS).iterdir()
    assert blob.name == LARGE.sha256
    assert blob.read_bytes() == noise()
    assert LARGE.data.encode() not in (tmp_path / RECORDS).read_bytes()

    first, second, third, fourth = read(tmp_path)
    assert isinstance(first, ExchangeLine)
    assert isinstance(second, Record)
    assert second == fourth
    assert third == record(SMALL)
    blobs = Blobs(tmp_path)
    assert blobs.restore_images(first.exchange) == journal.exchange
    assert [blobs.restore_images(each) for each in second.exchanges] == list(judged.exchanges)
    assert [blobs.restore_images(each) for each in second.grades[0].exchanges] == list(
        judged.grades[0].exchanges
    )
    assert blobs.lost == {}


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="finds the file of a descriptor in /proc"
)
def test_an_image_is_durable_before_the_line_that_names_it(tmp_path: Path) -> None:
    synced: list[str] = []

    def fsync(file: int, real: Callable[[int], None] = os.fsync) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").readlink().name)
        real(file)

    with patch.object(os, "fsync", fsync):
        written(tmp_path, record(LARGE))
    assert synced[-2:] == [LARGE.sha256, RECORDS]


def test_a_run_without_large_images_has_no_folder_for_them(tmp_path: Path) -> None:
    written(tmp_path, record(SMALL))
    assert not (tmp_path / BLOBS).exists()
    assert read(tmp_path) == [record(SMALL)]


def test_a_kill_between_image_and_line_leaves_a_whole_image_and_no_line(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, signal, sys; from pathlib import Path\n"
        "sys.path[:0] = sys.argv[2:]; from test_blobs import LARGE, Redactor, RunWriter, record\n"
        "class Dying(RunWriter):\n"
        "    def _write_line(self, content): os.kill(os.getpid(), signal.SIGKILL)\n"
        "async def die():\n"
        "    async with Dying(Path(sys.argv[1]), Redactor({})) as store: store.append(record(LARGE))\n"
        "asyncio.run(die())"
    )
    here = Path(__file__).parent
    died = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(here), str(here.parents[1])], check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert [blob.read_bytes() for blob in (tmp_path / BLOBS).iterdir()] == [noise()]
    assert read(tmp_path) == []
    written(tmp_path, record(LARGE))
    (line,) = read(tmp_path)
    assert isinstance(line, Record)
    assert Blobs(tmp_path).restore_images(line.exchanges[0]) == exchange(LARGE)


def test_a_full_disk_refuses_the_image_before_its_line(tmp_path: Path) -> None:
    script = (
        "import asyncio, resource, signal, sys; from pathlib import Path\n"
        "sys.path[:0] = sys.argv[2:]; from test_blobs import LARGE, SMALL, Redactor, RunWriter, record\n"
        "from harness.errors import StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "async def fill():\n"
        "    async with RunWriter(Path(sys.argv[1]), Redactor({})) as store:\n"
        "        store.append(record(SMALL)); store.append(record(LARGE))\n"
        "try:\n    asyncio.run(fill())\n"
        "except StoreError as full:\n    print(full)"
    )
    here = Path(__file__).parent
    command = [sys.executable, "-c", script, str(tmp_path), str(here), str(here.parents[1])]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "harness resume" in ended.stdout
    assert list((tmp_path / BLOBS).iterdir()) == []
    assert read(tmp_path) == [record(SMALL)]


@pytest.mark.parametrize("how", ["missing", "altered", "cut", "link"])
def test_a_lost_image_is_told_and_nothing_is_taken_for_it(tmp_path: Path, how: str) -> None:
    written(tmp_path, record(LARGE))
    blob = tmp_path / BLOBS / str(LARGE.sha256)
    content = blob.read_bytes()
    blob.unlink()
    if how == "altered":
        blob.write_bytes(content[:-1] + b"?")
    elif how == "cut":
        blob.write_bytes(content[:-1])
    elif how == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        blob.symlink_to(tmp_path / "elsewhere")
    (line,) = read(tmp_path)
    assert isinstance(line, Record)
    blobs = Blobs(tmp_path)
    assert blobs.restore_images(line.exchanges[0]) is None
    (said,) = blobs.lost
    assert str(LARGE.sha256) in said
    assert ("altered" if how in ("altered", "cut") else "cannot be read") in said


def test_an_image_cut_short_by_another_process_is_written_again(tmp_path: Path) -> None:
    written(tmp_path, record(LARGE))
    blob = tmp_path / BLOBS / str(LARGE.sha256)
    blob.write_bytes(blob.read_bytes()[:100])
    written(tmp_path, record(LARGE))
    assert blob.read_bytes() == noise()


def test_a_name_that_is_no_hash_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / BLOBS).mkdir()
    blobs = Blobs(tmp_path)
    assert blobs.restore_images(exchange(replace(LARGE, data="", sha256="../secret"))) is None
    assert "but the file does not exist" in next(iter(blobs.lost))


def test_an_image_under_a_wrong_hash_stays_in_its_line(tmp_path: Path) -> None:
    wrong = replace(LARGE, sha256="0" * 64)
    written(tmp_path, record(wrong))
    assert read(tmp_path) == [record(wrong)]
