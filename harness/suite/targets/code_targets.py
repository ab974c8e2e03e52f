"""Targets that run the user's own code: a `python` function, or a `command` with its arguments.

Their files are relative to the suite's folder. The contents of the files they name are part of a
trial's key: an edited file makes another target, so that no stale answer is replayed for it. What
those files import or start is not tracked.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.config.diagnostics import Place
from harness.config.regular_files import open_regular_file
from harness.hashing import hash_file, hash_json
from harness.suite.code_references import FUNCTION_REFERENCE, find_function_file
from harness.suite.source import Source
from harness.suite.targets.target_reader import TargetSpec

PYTHON, COMMAND = "python", "command"
CALLABLES = (PYTHON, COMMAND)
_REMOTE_KEYS = ("base_url", "api_key", "headers")


def check_code_target(spec: TargetSpec, source: Source, place: Place) -> None:
    """Note problems of a `python` or `command` target, and keys that only such a target may
    have.
    """
    if spec.provider not in CALLABLES:
        if spec.env:
            source.problems.add(
                place,
                f"the target `{spec.name}` has `env:`, which applies only to the providers python"
                " and command; remove it",
            )
        return
    for key in _REMOTE_KEYS:
        if getattr(spec, key):
            source.problems.add(
                place,
                f"the target `{spec.name}` runs on this machine and cannot have `{key}`; name the"
                " environment variables it needs in `env:`",
            )
    timeout = spec.limits.timeout
    if timeout is not None and (timeout.model_fields_set - {"total"}):
        source.problems.add(
            place,
            f"the target `{spec.name}` runs on this machine, where only the timeout `total`"
            " applies; remove the others",
        )
    if spec.provider == PYTHON:
        _check_function(spec, source, place)
    else:
        _check_program(spec, source, place)


def _check_function(spec: TargetSpec, source: Source, place: Place) -> None:
    match = FUNCTION_REFERENCE.fullmatch(spec.model)
    if match is None:
        source.problems.add(
            place,
            f"`model` of the python target `{spec.name}` should name a file and a function, such"
            " as app.py:answer",
        )
        return
    find_function_file(match["file"], match["name"], source, place)


def _check_program(spec: TargetSpec, source: Source, place: Place) -> None:
    try:
        words = shlex.split(spec.model)
    except ValueError as wrong:
        source.problems.add(
            place,
            f"`model` of the command target `{spec.name}` is not a valid command: {wrong}; write"
            " it as a list of words",
        )
        return
    if find_program(words, source.folder) is None:
        where = "there is no such program" if "/" in words[0] else "it is not on the PATH"
        source.problems.add(
            place,
            f"the target `{spec.name}` cannot run `{words[0]}`: {where}, or it is not executable",
        )


def find_program(words: list[str], base: Path) -> str | None:
    """The path of the program: on the PATH, or, with a slash, relative to `base`; None where it
    cannot be run.
    """
    return shutil.which(str(base / words[0]) if "/" in words[0] else words[0])


def hash_code_files(spec: TargetSpec, base: Path) -> str:
    """A hash of the contents of the files that a code target names; the same on every machine."""
    return hash_json(dict(_iter_code_files(spec, base)))


def _iter_code_files(spec: TargetSpec, base: Path) -> Iterator[tuple[str, str]]:
    """Yields the file of the function, or the relative words of the command that are files, with
    the hashes of their contents.
    """
    words = [spec.model.rpartition(":")[0]] if spec.provider == PYTHON else shlex.split(spec.model)
    for word in (each for each in words if each and not each.startswith("/")):
        try:
            with os.fdopen(open_regular_file(base / word), "rb") as file:
                yield word, hash_file(file)
        except (OSError, ValueError):
            pass  # no file, or none that can be read: then it is a word like any other
