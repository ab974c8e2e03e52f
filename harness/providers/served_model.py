"""Whether the model that a server says it served is the one it was asked for, whatever name it goes by.

Servers spell one model in many ways: with or without its owner (`openai/gpt-4.1`), with the version an alias stands for
(`gpt-4.1-2025-04-14`, `mistral-large-2411`, `gemini-2.0-flash-001`), with a revision (`…@main`) or a tag (`…:latest`). What is
left when these are taken off must be the same, and where both name a version, that too.
"""

from __future__ import annotations

import re
from functools import lru_cache

PROVIDERS_WITH_OWN_NAMES = frozenset({"azure", "command", "python"})
"""Providers whose models are called as their owners like (deployments, files, programs), so that no name says anything."""

_REVISION = re.compile(r"(?<=.)@[\w./-]+$|:latest$|\.gguf$")
_VERSION = re.compile(r"[-@:](latest|\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3}|\d{2}-\d{2}|v\d+(?:[.:]\d+)*)$")
_ALIAS = "latest"


@lru_cache(maxsize=1024)
def is_same_model(asked: str, served: str) -> bool:
    """Whether `served` may be another name of `asked`."""
    one, version = _split_version(asked)
    other, stated = _split_version(served)
    return one == other and (version == stated or not version or not stated)


def _split_version(model: str) -> tuple[str, str]:
    """A model's own name, and its version, empty where it states none."""
    name = _REVISION.sub("", model.strip().lower()).rstrip("/").rpartition("/")[2]
    found = _VERSION.search(name)
    if found is None or not found.start():
        return name, ""
    version = found[1].replace("-", "")
    return name[: found.start()], "" if version == _ALIAS else version
