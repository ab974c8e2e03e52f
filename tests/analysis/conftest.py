"""The builder of realistic runs, for tests of analysis."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """`build.py` beside this file, as a module."""
    spec = spec_from_file_location("analysis_build", Path(__file__).parent / "build.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
