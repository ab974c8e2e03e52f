"""Opens and reads the files that a person names: regular files only, up to a limit.

A named pipe may never deliver anything, a device never ends, and a link can lead to either. What a
name stands for is therefore asked of the opened file, which is opened without waiting. What is
refused is an OSError like any other, whose `strerror` says why and what to do.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

DEFAULT_LIMIT = 16 * 2**20
"""Bytes of a file that a person writes: a suite, a prompt, code, variables."""

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


def open_regular_file(path: Path | str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of the file at `path`; also the `opener` of `open`. Raises OSError where it is
    no regular file.
    """
    _refuse_special_file(Path(path).stat())  # opening some devices has effects
    file = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _refuse_special_file(os.fstat(file))  # it may have been replaced since
    except OSError:
        os.close(file)
        raise
    return file


def read_regular_file(path: Path | str, limit: int = DEFAULT_LIMIT) -> bytes:
    """The bytes of the file at `path`. Raises OSError where it is no regular file, or has more
    than `limit` bytes, whatever size it claims.
    """
    with os.fdopen(open_regular_file(path), "rb") as file:
        content = file.read(limit + 1) if os.fstat(file.fileno()).st_size <= limit else None
    if content is None or len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {_describe_size(limit)}, the limit here")
    return content


def _refuse_special_file(status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        named = _KINDS.get(kind, "something else")
        raise OSError(errno.EINVAL, f"it is {named}, not a regular file; name a regular file")


def _describe_size(size: int) -> str:
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 2**10} KiB"
