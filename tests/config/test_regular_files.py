"""Only regular files are read, and never more of them than the limit."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from harness.config.regular_files import open_regular_file, read_regular_file

LIMIT = 2**20


def make_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def make_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket"))
    return folder / "socket"


def make_link(folder: Path) -> Path:
    (folder / "link").symlink_to("/dev/zero")
    return folder / "link"


def make_loop(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


def make_large_file(folder: Path) -> Path:
    with (folder / "large").open("wb") as file:
        file.truncate(50 * 2**30)
    return folder / "large"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_pipe, "it is a named pipe, not a regular file; name a regular file"),
        pytest.param(make_socket, "it is a socket, not a regular file", marks=pytest.mark.process),
        (make_link, "it is a device, not a regular file"),
        (lambda _: Path("/dev/random"), "it is a device, not a regular file"),
        (lambda folder: folder, "it is a folder, not a regular file"),
        (make_loop, "Too many levels of symbolic links"),
        (make_large_file, "it is larger than 1 MiB, the limit here"),
        (lambda folder: folder / "absent", "No such file"),
    ],
)
def test_what_is_no_regular_file_of_that_size_is_refused_at_once(
    tmp_path: Path, make: object, reason: str
) -> None:
    assert callable(make)
    with pytest.raises(OSError, match=reason) as refused:
        read_regular_file(make(tmp_path), LIMIT)
    assert (refused.value.strerror or "").startswith(reason)


def test_a_file_of_the_limits_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "whole"
    path.write_bytes(b"x" * LIMIT)
    (tmp_path / "link").symlink_to(path)
    assert read_regular_file(tmp_path / "link", LIMIT) == b"x" * LIMIT


def test_what_has_more_bytes_than_it_claims_is_refused() -> None:
    with pytest.raises(OSError, match="it is larger than 0 KiB"):
        read_regular_file("/proc/self/status", 100)  # a regular file of 0 bytes


def test_it_opens_files_for_python(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("one\ntwo\n")
    with open(path, encoding="utf-8", opener=open_regular_file) as file:
        assert file.readlines() == ["one\n", "two\n"]
