"""Console, Markdown, CSV, JUnit and summary: what they say."""

from __future__ import annotations

import csv as csv_reader
import json
import re
from collections.abc import Callable, Iterable
from html import unescape
from io import StringIO
from types import ModuleType
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from harness.analysis.frame import build_frames
from harness.analysis.report_data import Report, TargetPace
from harness.analysis.summarize import build_report
from harness.model import Error, Grade, TargetTraffic
from harness.registry import load_plugin
from harness.reporters import console, csv, html, junit, markdown, summary

GAP = "prompt v2 changed since the recording r: 24 requests are new"


def test_what_a_replay_lacks_is_said_first(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    missed = build.errored("new", error=Error("transport", "replay_miss", "the recording has none"))
    report = compared([build.record("old"), missed], replay_gap=GAP, notes=("the seed is fixed",))
    assert report.headline.startswith(f"{GAP}; 1 of 2 trials ended in an error; ")
    said = f"P{GAP[1:]}."
    assert report.warnings[0] == said
    for render in (console.render_console, markdown.render_markdown):
        text = " ".join(render(report).split())
        assert text.index(GAP) < text.index("the recording has none")
        assert "The seed is fixed." in text
    page = html.render_page(report, {}).decode()
    assert f'<ul class="notes">\n<li><bdi>{said}' in page
    suite = ElementTree.fromstring(junit.render_junit(report))[0]
    assert (suite.findtext("system-out") or "").startswith(GAP)
    properties = [each.get("value", "") for each in suite.iter("property")]
    assert properties[:2] == [report.headline, said]


def test_gates_are_counted_by_run(build: ModuleType) -> None:
    gates = [{"text": text, "metric": "pass_rate", "op": ">=", "value": 0.5} for text in ("a", "b")]
    runs = [build.manifest(id=name, planned=1, gates=gates) for name in ("x", "y", "z")]

    def headline(*passed: bool) -> str:
        records = [[build.record("1", passed=each)] for each in passed]
        frames = build_frames(list(zip(runs, records, strict=False)))
        return build_report(frames, runs[: len(passed)]).headline

    assert headline(True) == "both gates hold"
    assert headline(True, True) == "both gates hold in each of 2 runs"
    assert headline(True, False, True) == "both gates hold in x, z; of 2 gates, 2 failed in y"


def test_every_reporter_of_the_registry_is_there(typical: Report) -> None:
    for name in ("console", "markdown", "csv", "html", "junit"):
        assert load_plugin("reporters", name)(typical)


def test_the_console_leads_with_the_verdict_and_fits_its_width(typical: Report) -> None:
    text = console.render_console(typical)
    assert text.splitlines()[0] == "support-triage  FAIL  of 4 gates, 1 failed, 3 held  SIMULATED"
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    for part in (
        "eval triage · target scout",
        "78.3 % (67.2–86.5 %)",
        "Failing cases (10 of 37",
        "✗ fail",
        "spent",
        "Simulated: scout",
    ):
        assert part in text


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_the_console_drops_columns_and_says_which(typical: Report, width: int) -> None:
    text = console.render_for_terminal(typical, width, color=False)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert ("more in the report" in text) == (width < 200)
    assert "pass rate (95 %)" in text or width == 40


@pytest.mark.parametrize("width", [40, 100])
def test_what_a_model_wrote_never_begins_a_line(
    build: ModuleType, compared: Callable[..., Report], width: int
) -> None:
    wordy = build.exchange(build.response("wordy " * 100))
    broken = {
        "error": Error("provider", "overloaded", "wordy " * 100),
        "exchanges": (),
        "grades": (),
    }
    records = [
        build.record("long", 0, passed=False, exchanges=(wordy,)),
        build.record("broken", 0, **broken),
    ]
    lines = console.render_for_terminal(compared(records), width, color=False).splitlines()
    assert sum("wordy" in line for line in lines) >= 6
    assert not [line for line in lines if line.startswith("wordy")]


def test_an_error_is_not_called_a_failure(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    broken = {
        "error": Error("provider", "overloaded", "busy"),
        "exchanges": (),
        "grades": (),
        "score": None,
        "passed": None,
    }
    records = [
        build.record("broken", 0, **broken),
        build.record("both", 0, passed=False),
        build.record("both", 1, **broken),
    ]
    text = console.render_console(compared(records))
    assert "1 of 1 trial ended in an error" in text
    assert "0/2 passed, 1 of 2 trials ended in an error" in text


def test_no_small_table_folds_or_loses_columns_unsaid(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    name = "速いモデル-with-a-rather-long-name"
    report = compared([build.record(target=name)], targets={name: {"provider": "x", "model": "y"}})
    pace = TargetPace(
        run="run-1",
        target=name,
        requests=1,
        wall_time=1.0,
        requests_per_s=1.0,
        queue_p50=0.1,
        queue_p95=0.2,
        response_time_p50=0.3,
        response_time_p95=0.4,
        attempts=1,
        refusals={},
        slowed=0.0,
    )
    report = replace(report, paces=(pace,))
    text = console.render_for_terminal(report, 80, color=False)
    titles, row = (
        next(line for line in text.splitlines() if part in line)
        for part in ("requests ", f" {name[:20]}")
    )
    assert name[:20] in row and "req/s" in titles and "response p95" not in titles
    hidden = " ".join(text.split()).partition("more in the report: queue")[2]
    assert "response p50, response p95." in hidden
    assert "\n\n\n" not in text


def test_colour_is_only_there_when_asked_for(typical: Report) -> None:
    assert "\x1b[" in console.render_for_terminal(typical, 100, color=True)
    assert "\x1b" not in console.render_for_terminal(typical, 100, color=False)


def test_square_brackets_are_not_markup(hostile: Callable[[str], Report]) -> None:
    assert "[bold red]x[/]" in console.render_console(hostile("[bold red]x[/]"))


def test_markdown_has_gates_table_and_failing_answers(typical: Report) -> None:
    text = markdown.render_markdown(typical)
    assert text.startswith("## ❌ support-triage: of 4 gates, 1 failed, 3 held · **SIMULATED**\n")
    assert "| prompt | temperature | n | pass rate (95 %) |" in text
    assert "```text\nI think this belongs to" in text
    most = max(sum(cell.bad > 0 for cell in case.cells) for case in typical.cases)
    assert f"also fails in {most - markdown.CELL_LIMIT} more configuration" in text
    assert len(text) < 12_000


def written(pieces: Iterable[bytes]) -> str:
    """A report that comes in pieces, as text."""
    return b"".join(pieces).decode()


def test_csv_is_the_trials_frame(typical: Report) -> None:
    rows = list(csv_reader.DictReader(StringIO(written(csv.render_csv(typical)), newline="")))
    assert len(rows) == 480
    assert list(rows[0]) == list(typical.frames.trials.columns)
    assert {row["outcome"] for row in rows} == {"pass", "fail", "error"}
    assert all(row["latency"] == "" for row in rows if row["outcome"] == "error")


def test_csv_is_the_same_in_pieces_of_any_size(
    typical: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(csv.render_csv(typical))
    monkeypatch.setattr(csv, "_CHUNK_ROWS", 7)
    pieces = list(csv.render_csv(typical))
    assert written(pieces) == whole
    assert len(pieces) == 1 + 69


def test_csv_has_every_digit_and_says_what_is_unknown(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    scores = [0.1 + 0.2, 1e-5, 1 / 3, 1.0, 0.0, 2e16, None]
    records = [build.record(str(number), score=score) for number, score in enumerate(scores)]
    comparison = compared([*records, build.errored("broken")])
    rows = list(csv_reader.DictReader(StringIO(written(csv.render_csv(comparison)), newline="")))
    assert [row["score"] for row in rows] == [
        "" if score is None else repr(score) for score in [*scores, None]
    ]
    assert [row["passed"] for row in rows[-2:]] == ["True", ""]
    assert {row["started"] for row in rows} == {"2025-03-01 12:00:00.500000+00:00"}


def test_csv_keeps_what_looks_like_something_else(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    records = [
        build.record(str(number), expected=text)
        for number, text in enumerate(["NA", "null", "001", "1e5"])
    ]
    rows = csv_reader.DictReader(StringIO(written(csv.render_csv(compared(records))), newline=""))
    assert [row["expected"] for row in rows] == ["NA", "null", "001", "1e5"]


def test_junit_has_a_case_for_every_cell_and_gate(typical: Report) -> None:
    root = ElementTree.fromstring(junit.render_junit(typical))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["gates", "support-triage triage"]
    assert (suites["gates"].get("tests"), suites["gates"].get("failures")) == ("4", "1")
    cases = suites["support-triage triage"]
    assert cases.get("tests") == str(len(typical.cells)) == "160"
    assert int(cases.get("failures", 0)) == len(cases.findall("testcase/failure")) > 0
    assert {case.get("classname") for case in cases} == {
        f"support-triage.triage.{c.label}" for c in typical.configurations
    }


def test_junit_failures_say_what_was_asked_expected_and_why(asked: Report) -> None:
    (suite,) = ElementTree.fromstring(junit.render_junit(asked))
    failure = suite.find("testcase/failure")
    assert suite.find("testcase").get("name") == "cases.csv:17"
    assert failure.get("message") == (
        "expected billing · equals: expected 'billing' · 0 of 1 passed, 1 failed, 0 errored"
    )
    assert failure.text.splitlines() == [
        "input: system: Sort mails.",
        f"user: Mail: {asked.cases[0].input}",
        "expected: billing",
        "answer: shipping",
        "equals: expected 'billing'",
    ]


def test_junit_tells_two_runs_of_a_suite_apart(build: ModuleType) -> None:
    runs = [(build.manifest(run), [build.record()]) for run in ("a", "b")]
    report = build_report(build_frames(runs), [manifest for manifest, _ in runs])
    root = ElementTree.fromstring(junit.render_junit(report))
    assert [suite.get("name") for suite in root] == [
        "support-triage a triage",
        "support-triage b triage",
    ]


@pytest.mark.parametrize("render", [console.render_console, markdown.render_markdown])
def test_a_failing_case_is_shown_with_its_question(
    asked: Report, render: Callable[[Report], str]
) -> None:
    text = unescape(render(asked).replace("\\", "").replace("\u200b", ""))
    name, question, expected, answer = (
        text.index(part) for part in ("cases.csv:17", asked.cases[0].input, "billing", "shipping")
    )
    assert name < question < expected < answer


def test_the_csv_has_variables_and_prompt(asked: Report) -> None:
    (row,) = csv_reader.DictReader(StringIO(written(csv.render_csv(asked))))
    assert json.loads(row["vars"]) == {"mail": asked.cases[0].input, "unused": 1}
    assert row["input"] == f"system: Sort mails.\nuser: Mail: {asked.cases[0].input}"
    assert row["row"] == "cases.csv:17"


def test_junit_has_an_ungraded_case_as_an_error_with_its_reason(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    missing = Grade("judge", None, error=Error("grader", "unreadable", "no verdict in it"))
    records = [build.record("a"), build.record("b", passed=None, grades=(missing,))]
    (suite,) = ElementTree.fromstring(junit.render_junit(compared(records)))
    assert (suite.get("errors"), suite.get("skipped")) == ("1", "0")
    assert "judge: no verdict in it" in suite.find("testcase/error").get("message")


@pytest.mark.parametrize(
    "render",
    [
        console.render_console,
        markdown.render_markdown,
        lambda report: html.render_page(report, {}),
    ],
    ids=["console", "markdown", "html"],
)
def test_an_ungraded_case_is_among_the_failing_ones_with_its_reason(
    build: ModuleType, compared: Callable[..., Report], render: Callable[[Report], str | bytes]
) -> None:
    missing = Grade("judge", None, error=Error("grader", "unreadable", "no verdict in it"))
    records = [build.record("a"), build.record("b", passed=None, grades=(missing,))]
    report = compared(records)
    assert [(case.case, case.bad) for case in report.cases] == [("b", 1), ("a", 0)]
    text = str(render(report))
    assert "ungraded" in text
    assert "no verdict in it" in text


def test_junit_lists_what_failed_and_counts_the_rest(
    typical: Report,
    build: ModuleType,
    compared: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(junit, "LISTED_CASES", 2)
    records = [build.record(str(number), passed=number != 7) for number in range(9)]
    (suite,) = ElementTree.fromstring(
        junit.render_junit(compared([*records, build.errored("broken")]))
    )
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == [
        "10",
        "1",
        "1",
        "0",
    ]
    assert {(test.get("name"), test[0].tag) for test in suite.iter("testcase")} == {
        ("7", "failure"),
        ("broken", "error"),
    }
    assert (suite.findtext("system-out") or "").endswith(
        "\n2 of 10 test cases listed, failures and errors first; results.csv has every trial."
    )


def test_the_summary_is_strict_json_with_every_table(typical: Report) -> None:
    document = json.loads(summary.render_summary(typical), parse_constant=pytest.fail)
    assert (document["verdict"], document["simulated"], document["totals"]["trials"]) == (
        "fail",
        True,
        480,
    )
    assert document["configurations"][0]["pass_rate"]["method"] == "Wilson, clustered by case"
    assert [gate["verdict"] for gate in document["gates"]] == ["pass", "pass", "pass", "fail"]
    assert "frames" not in document


@pytest.mark.parametrize("name", ["console", "markdown", "csv", "junit", "summary"])
def test_nothing_recorded_is_reported_too(compared: Callable[..., Report], name: str) -> None:
    assert load_plugin("reporters", name)(compared([], "pass_rate >= 0.5", planned=9))


@pytest.mark.parametrize("name", ["console", "markdown", "html"])
def test_helpers_have_a_table_of_their_own(
    build: ModuleType, compared: Callable[..., Report], name: str
) -> None:
    asked = replace(build.exchange(cost=0.25, position="g0.0", role="judge"), target="referee")
    records = [build.record(grades=(Grade("judge", True, exchanges=(asked,)),))]
    page = load_plugin("reporters", name)(
        compared(records, helpers={"referee": {"model": "large", "simulated": False}})
    )
    text = re.sub(r"<[^>]+>", " ", page.decode() if isinstance(page, bytes) else page)
    assert re.search(r"referee\W+judge\W.*?\b1\b.*?\b100\b.*?\b11\b.*?\$0\.25", text, re.DOTALL)
    assert re.search(r"judges\W+\$0\.25", text)


@pytest.mark.parametrize("name", ["console", "markdown", "html", "summary"])
def test_the_pace_of_each_target_is_told_and_what_slowed_it(
    build: ModuleType, compared: Callable[..., Report], name: str
) -> None:
    slowed = TargetTraffic(25.0, 519, {"429": 19}, slowed=12.0, in_flight=32)
    before = TargetTraffic(25.0, 500)
    found = compared(
        [build.record()],
        sessions=tuple(
            replace(build.SESSION, traffic={"scout": each}) for each in (slowed, before)
        ),
    )
    page = load_plugin("reporters", name)(found)
    text = page.decode() if isinstance(page, bytes) else page
    if name == "summary":
        (pace,) = json.loads(text)["paces"]
        assert (pace["requests"], pace["wall_time"], pace["requests_per_s"]) == (1000, 50.0, 20.0)
        assert (pace["slowed"], pace["refusals"]) == (12.0, {"429": 19})
        assert pace["response_time_p50"] is not None and pace["queue_p95"] is not None
    else:
        plain = re.sub(r"<[^>]+>", " ", text)
        assert re.search(r"scout\W+1,000\W+50\.0 s\W+20\.0\b", plain)
        assert "slowed by 429s for 12.0 s: 19 of 1,019 attempts" in plain


def test_without_helpers_nothing_is_said_of_them(typical: Report) -> None:
    assert not any(
        "helper" in str(load_plugin("reporters", name)(typical)).lower()
        for name in ("console", "markdown")
    )


def test_a_grade_that_decides_nothing_is_told_from_one_that_does(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    grades = (Grade("tone", False, "rude", weight=0), Grade("number", False, "expected 4"))
    found = compared([build.record(grades=grades, passed=False)])
    for text in (console.render_console(found), html.render_page(found, {}).decode()):
        plain = re.sub(r"<[^>]+>", "", text)
        assert "tone (only reports)" in plain
        assert "number (only" not in plain
