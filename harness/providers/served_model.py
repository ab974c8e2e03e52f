"""Compares the model that a server reports with the requested one, under their many spellings.

A name may come with or without its owner (`openai/gpt-4.1`), with the version that an alias stands
for (`gpt-4.1-2025-04-14`, `mistral-large-2411`, `gemini-2.0-flash-001`), with a revision (`…@main`)
or a tag (`…:latest`). Without these, the names must be equal, and where both have a version, so
must the versions.
"""

from __future__ import annotations

import re
from functools import lru_cache

PROVIDERS_WITH_OWN_NAMES = frozenset({"azure", "command", "http", "python"})
"""Providers whose models have arbitrary names (deployments, files, programs, services), so that a
comparison is meaningless."""

_REVISION = re.compile(r"(?<=.)@[\w./-]+$|:latest$|\.gguf$")
_VERSION = re.compile(
    r"[-@:](latest|\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3}|\d{2}-\d{2}|v\d+(?:[.:]\d+)*)$"
)
_ALIAS = "latest"


@lru_cache(maxsize=1024)
def is_same_model(requested: str, served: str) -> bool:
    """Whether `served` may be another name of `requested`."""
    requested_name, requested_version = _split_version(requested)
    served_name, served_version = _split_version(served)
    if requested_name != served_name:
        return False
    return requested_version == served_version or not requested_version or not served_version


def _split_version(model: str) -> tuple[str, str]:
    """A model's name without owner and version, and the version, empty where there is none."""
    name = _REVISION.sub("", model.strip().lower()).rstrip("/").rpartition("/")[2]
    found = _VERSION.search(name)
    if found is None or not found.start():
        return name, ""
    version = found[1].replace("-", "")
    return name[: found.start()], "" if version == _ALIAS else version
