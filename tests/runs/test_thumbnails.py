"""The pictures a report shows: those of its cases, small, and never more than a page can hold."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path

import pytest
from msgspec.structs import replace
from PIL import Image as Pillow

from harness.model import Exchange, Image, Message, Record, Request, Response, Text
from harness.model.images import file_size
from harness.runs.blobs import BLOBS
from harness.runs.folder import RECORDS
from harness.runs.redaction import Redactor
from harness.runs.thumbnails import (
    IMAGES_PER_CASE,
    MAX_ORIGINAL_SIZE,
    MAX_SIDE,
    Thumbnails,
    make_thumbnail,
)
from harness.runs.writer import RunWriter
from tests.pictures import as_image, bomb, noise, picture

SMALL, LARGE = as_image(picture()), as_image(noise((400, 200)))


def record(case: str, *images: Image) -> Record:
    asked = Request((Message("user", (Text("?"), *images) if images else "?"),))
    exchange = Exchange("t0", "target", "m", asked, Response(Message("assistant", "a")))
    return Record(f"{len(case):032x}", 'e"é', case, "p", "m", {}, 0, "s1", (exchange,))


def written(folder: Path, *records: Record) -> Path:
    async def write() -> None:
        async with RunWriter(folder, Redactor({})) as store:
            for each in records:
                store.append(each)

    folder.mkdir(exist_ok=True)
    asyncio.run(write())
    return folder


def shown(folder: Path, *cases: str) -> Thumbnails:
    pictures = Thumbnails([('e"é', case) for case in cases])
    pictures.collect_from(folder)
    return pictures


def test_the_pictures_of_the_wanted_cases_are_found(tmp_path: Path) -> None:
    run = written(
        tmp_path,
        record("other", LARGE),
        record("none"),
        record('a\\"b', SMALL),
        record("large", LARGE, SMALL),
    )
    found = shown(run, 'a\\"b', "none", "large", "never asked").found
    assert found.keys() == {('e"é', 'a\\"b'), ('e"é', "large")}
    assert found['e"é', 'a\\"b'] == (SMALL,)
    copy, small = found['e"é', "large"]
    assert small == SMALL
    assert (copy.width, copy.height) == (400, 200)
    assert file_size(copy) < file_size(LARGE)


def test_a_large_picture_is_shown_as_a_small_copy() -> None:
    assert file_size(LARGE) > MAX_ORIGINAL_SIZE
    copy = make_thumbnail(LARGE)
    with Pillow.open(BytesIO(b64decode(copy.data))) as opened:
        assert opened.size == (MAX_SIDE, MAX_SIDE // 2)
    assert copy.media_type == "image/webp"
    assert make_thumbnail(SMALL) is SMALL


@pytest.mark.parametrize(
    "content", [bomb() + bytes(MAX_ORIGINAL_SIZE), noise((400, 200))[:30_000], b"?" * 30_000]
)
def test_what_cannot_be_decoded_is_not_shown(content: bytes) -> None:
    assert make_thumbnail(replace(LARGE, data=b64encode(content).decode())).data == ""


def test_the_second_run_shows_what_the_first_did_not(tmp_path: Path) -> None:
    one = written(tmp_path / "one", record("a", SMALL))
    two = written(tmp_path / "two", record("a", LARGE), record("b", SMALL))
    pictures = Thumbnails([('e"é', "a"), ('e"é', "b")])
    for run in (one, two):
        pictures.collect_from(run)
    assert pictures.found == {
        ('e"é', "a"): (SMALL,),
        ('e"é', "b"): (SMALL,),
    }


def test_a_case_has_few_and_a_page_has_not_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runs.thumbnails.MAX_TOTAL", 2 * len(SMALL.data))
    run = written(tmp_path, record("many", *[SMALL] * (IMAGES_PER_CASE + 3)))
    images = shown(run, "many").found['e"é', "many"]
    assert [bool(image.data) for image in images] == [True, True, False, False]


def test_a_lost_picture_is_told_and_a_damaged_line_passed_over(tmp_path: Path) -> None:
    run = written(tmp_path, record("a", LARGE), record("b", SMALL))
    (tmp_path / BLOBS / str(LARGE.sha256)).unlink()
    pictures = shown(run, "a", "b")
    assert pictures.found['e"é', "a"] == (replace(LARGE, data=""),)
    assert str(LARGE.sha256) in pictures.lost[0]
    lines = (run / RECORDS).read_bytes()
    (run / RECORDS).write_bytes(lines.replace(b'"image/png"', b'"image/pmg"'))
    assert shown(run, "a", "b").found == {}
