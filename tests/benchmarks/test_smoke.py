"""The benchmark runs to its end: no figure is judged here, only that each is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "engine.py"


def test_the_benchmark_still_works() -> None:
    ended = subprocess.run([sys.executable, str(PROGRAM), "--tiny"], capture_output=True, text=True, timeout=110, check=False)
    assert ended.returncode == 0, ended.stderr
    for part in ("| evalharness, whole job |", "| 4, evalharness, whole job |", "| all but the transport "):
        assert part in ended.stdout
