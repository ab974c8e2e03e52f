"""The builder of realistic runs, for tests of reporters: that of the analysis tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

from harness.analysis.frame import build_frames
from harness.analysis.report_data import Report
from harness.analysis.summarize import build_report
from harness.model import Error, Grade, Message, Record, Request
from harness.suite.gate_syntax import parse_gate


def _module(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"reporters_{path.stem}", path)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """The builder of the analysis tests, as a module."""
    return _module(Path(__file__).parents[1] / "analysis" / "build.py")


@pytest.fixture(scope="session")
def compared(build: ModuleType) -> Callable[..., Report]:
    """(records, gates' texts, facts of the manifest) -> Report of one run."""

    def compared(records: Iterable[Record], *gates: str, **facts: Any) -> Report:
        listed = list(records)
        specs = [parse_gate(text).model_dump(mode="json") for text in gates]
        manifest = build.manifest(**{"planned": len(listed), "gates": specs, **facts})
        return build_report(build_frames([(manifest, listed)]), [manifest])

    return compared


@pytest.fixture(scope="session")
def typical(build: ModuleType, compared: Callable[..., Report]) -> Report:
    """A plausible run of 480 trials with four gates, one of which fails."""
    gates = (
        "pass_rate >= 0.7",
        "latency.p95 <= 2s",
        "cost <= $0.40",
        "pass_rate{tag=money} >= 0.99",
    )
    return compared(build.sample(), *gates)


@pytest.fixture(scope="session")
def hostile(build: ModuleType, compared: Callable[..., Report]) -> Callable[[str], Report]:
    """A run in which every text anyone could choose is the given one."""

    def hostile(text: str) -> Report:
        name = text or "x"
        identity = {"eval": name, "prompt": name, "target": name, "tags": (name,)}
        identity |= {"row": text, "vars": {name: text, name + "2": text}}
        judge = replace(
            build.exchange(build.response(text), position="g2.0", role=name), target=name
        )
        unsure = Grade(name, None, exchanges=(judge,), error=Error("grader", name, text))
        grades = (Grade(name, False, text), Grade(name, text), unsure)
        question = Request((Message("system", text), Message("user", text)))
        answer = replace(build.exchange(build.response(text, model=text)), request=question)
        records = [
            build.record(
                name,
                0,
                setting={name: text},
                expected=text,
                grades=grades[:2],
                passed=False,
                exchanges=(answer,),
                **identity,
            ),
            build.record(
                name, 1, setting={name: text}, grades=grades, exchanges=(answer,), **identity
            ),
            build.record(
                name,
                0,
                setting={name: name + "2"},
                error=Error("provider", name, text),
                exchanges=(),
                grades=(),
                **identity,
            ),
        ]
        gate = {
            "text": text,
            "metric": "pass_rate",
            "slice": {"tag": text},
            "op": ">=",
            "value": 0.5,
        }
        facts = {
            "suite": name,
            "description": text,
            "notes": (text,),
            "commit": name,
            "machine": {name: text},
            "versions": {name: text},
        }
        targets = {name: {"provider": text, "model": text, "simulated": True}}
        return compared(
            records,
            gates=[gate],
            id=name,
            arithmetic=text,
            targets=targets,
            helpers=targets,
            **facts,
        )

    return hostile


@pytest.fixture(scope="session")
def asked(build: ModuleType, compared: Callable[..., Report]) -> Report:
    """A run of one case, which has no id and failed; its prompt shows one of its two variables."""
    mail = "Where is parcel #42? <b>I paid</b> for it twice."
    messages = (Message("system", "Sort mails."), Message("user", f"Mail: {mail}"))
    sent = replace(build.exchange(build.response("shipping")), request=Request(messages))
    facts = {"row": "cases.csv:17", "vars": {"mail": mail, "unused": 1}}
    return compared([build.record("0e34", passed=False, exchanges=(sent,), **facts)])


@pytest.fixture(scope="session")
def payloads() -> list[str]:
    """Sixty known attacks."""
    found: list[str] = _module(Path(__file__).parent / "payloads.py").PAYLOADS
    return found
