"""evalharness: evaluate and benchmark language models from a YAML suite.

Everything public is imported on first use, so that `import harness` costs nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in typing, whose import takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "HarnessError": "harness.errors",
    "Overrides": "harness.suite",
    "load_run": "harness.app.report",
    "resume": "harness.app.python_api",
    "run": "harness.app.python_api",
}

__all__ = ["HarnessError", "Overrides", "__version__", "load_run", "resume", "run"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
