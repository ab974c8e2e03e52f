"""Every row of the fault table has a test that carries its id."""

from __future__ import annotations

import re
from pathlib import Path

ROWS = {
    "test_network.py": [f"N{number:02}" for number in range(1, 16)],
    "test_streams.py": [f"S{number:02}" for number in range(1, 21)],
    "test_bodies.py": [f"B{number:02}" for number in range(1, 9)],
}


def test_no_row_is_without_proof() -> None:
    for name, rows in ROWS.items():
        proved = re.findall(r'"([NSB]\d\d)\b', (Path(__file__).parent / name).read_text())
        assert set(rows) <= set(proved), name
