"""The live panel and the plain lines: what they say, that they fit, and that a name is only ever
text."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from io import StringIO
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from harness.cli.display import LiveDisplay, format_duration
from harness.cli.terminal import open_terminal
from harness.engine.progress import Progress, Tally
from harness.transport.middleware.traffic import Traffic

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")

HEADER = re.compile(r"^target\b.* done ", re.MULTILINE)


class Clock:
    """A clock that goes on when told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def half_done(**different: Any) -> Tally:
    """450 trials, of which 100 were answered: 80 right, 16 wrong, 4 with an error."""
    facts = {
        "planned": 450,
        "done": 100,
        "passed": 80,
        "failed": 16,
        "errors": 4,
        "retries": 7,
        "traffic": Traffic(in_flight=8),
        "cost": 0.0125,
    }
    return Tally(**{**facts, **different})  # type: ignore[arg-type]


def panel(
    targets: dict[str, Tally],
    *,
    width: int = 110,
    height: int = 24,
    budget: float | None = None,
    since: float = 0,
) -> str:
    """The last frame, 10 s after the start and `since` seconds after the last record."""
    clock, out = Clock(), StringIO()
    with LiveDisplay(
        Console(file=out, force_terminal=True, width=width, height=height), now=clock
    ) as display:
        display.begin(Progress(targets), budget)
        clock.time = 10 - since
        display.tick()
        clock.time = 10
    text = CONTROL.sub("", out.getvalue())
    last = list(HEADER.finditer(text))[-1]
    return text[last.start() :].strip("\n")


def lines(targets: dict[str, Tally], *moments: float, budget: float | None = None) -> list[str]:
    """What is printed where there is no terminal, with a record at each of the moments."""
    clock, out = Clock(), StringIO()
    with LiveDisplay(Console(file=out, width=60), now=clock) as display:
        display.begin(Progress(targets), budget)
        for clock.time in moments:
            display.tick()
    return out.getvalue().splitlines()


# ── The panel ─────────────────────────────────────────────────────────────────────────────────────


def test_every_figure_is_shown_for_every_target_and_for_all() -> None:
    shown = panel(
        {"scout": half_done(), "other": half_done(done=50, passed=50, failed=0, errors=0)},
        width=120,
        budget=0.5,
    )
    titles, scout, other, together, foot = shown.splitlines()
    assert titles.split() == [
        "target",
        "done",
        "rate",
        "passing",
        "errors",
        "retries",
        "in",
        "flight",
        "spent",
        "ETA",
    ]
    assert re.sub("[━╸╺]+", "", scout).split() == [
        "scout",
        "100/450",
        "10.0/s",
        "83.3%",
        "4",
        "7",
        "8",
        "$0.0125",
        "35s",
    ]
    assert other.split()[0] == "other"
    assert other.endswith("1m 20s")
    assert re.sub("[━╸╺]+", "", together).split()[:4] == ["all", "targets", "150/900", "15.0/s"]
    assert together.endswith("1m 20s"), "all is done when the slowest target is"
    assert foot == "10s elapsed · $0.0250 of $0.50 · ETA 1m 20s"


@pytest.mark.parametrize("width", [40, 60, 80, 110, 200])
@pytest.mark.parametrize(
    "name", ["scout", "a-very-long-name-of-a-target-that-goes-on-and-on-and-on", "日本語" * 20]
)
def test_it_fits_whatever_the_terminal_and_the_name(width: int, name: str) -> None:
    shown = panel(
        {name: half_done(), "b": half_done(planned=1_000_000)}, width=width, budget=1.0
    ).splitlines()
    assert len(shown) == 5
    assert max(cell_len(line) for line in shown) <= width
    assert shown[1].startswith(name[:3])
    assert "100/450" in shown[1]
    assert "ETA" in shown[0]


def test_a_name_is_text_not_markup() -> None:
    assert "[bold red]x[/]" in panel({"[bold red]x[/]": half_done()})
    assert "␛[2J" in panel({"\x1b[2J": half_done()})


def test_many_targets_leave_the_totals_in_sight() -> None:
    shown = panel({f"target-{number}": half_done() for number in range(60)}, height=20).splitlines()
    assert len(shown) < 20
    assert shown[-2].startswith("all targets")
    assert "46 more targets not shown" in shown[-1]


def test_nothing_moves_as_figures_grow() -> None:
    few = panel(
        {"scout": half_done(done=9, passed=9, failed=0, errors=0, retries=0, cost=0)}
    ).splitlines()[0]
    many = panel(
        {"scout": half_done(done=449, passed=400, failed=40, errors=9, cost=9.9)}
    ).splitlines()[0]
    assert few == many


def test_when_all_is_recorded_the_report_is_being_written_and_the_pace_stands() -> None:
    finished = {"scout": half_done(planned=100, traffic=Traffic())}
    assert panel(finished, since=5).endswith("5s elapsed · $0.0125 · writing the report")
    assert "20.0/s" in panel(finished, since=5)


def test_a_pause_is_said_instead_of_a_wrong_forecast() -> None:
    assert panel({"scout": half_done(traffic=Traffic())}, since=4).endswith(
        "nothing in flight for 4s"
    )


def test_why_a_target_stopped_is_shown() -> None:
    shown = panel(
        {"scout": half_done(stopped="the API key was refused\x1b[2J"), "other": half_done()}
    )
    assert "scout: the API key was refused␛[2J" in shown


def test_without_a_record_there_is_no_forecast() -> None:
    shown = panel({"scout": Tally(planned=10, traffic=Traffic(in_flight=8))})
    assert shown.endswith("10s elapsed · $0.0000 · ETA –")


def test_rate_and_forecast_are_those_of_the_last_seconds() -> None:
    """A target that took long to start and is quick now."""
    clock, out, tally = Clock(), StringIO(), Tally(planned=1000)
    with LiveDisplay(Console(file=out, width=100), now=clock) as display:
        display.begin(Progress({"scout": tally}), None)
        for second in range(1, 91):
            clock.time, tally.done = second, second if second <= 60 else 60 + 20 * (second - 60)
            display.tick()
    assert "660/1,000 done · 20.0/s" in out.getvalue()
    assert out.getvalue().rstrip().endswith("ETA 17s")


def test_a_target_that_is_slowed_down_says_by_what() -> None:
    traffic = Traffic(in_flight=8, attempts=519, refusals=Counter({"429": 19}), began=0)
    traffic.note_slow(1_000_000_000)
    traffic.ended = 13_000_000_000
    said = "scout slowed by 429s for 12.0 s: 19 of 519 attempts"
    assert said in panel({"scout": half_done(traffic=traffic)})
    assert said in lines({"scout": half_done(traffic=traffic)}, 5)[-1]
    traffic.note_full_speed(13_000_000_000)
    assert said not in panel({"scout": half_done(traffic=traffic)})


# ── Plain lines ───────────────────────────────────────────────────────────────────────────────────


def test_plain_lines_come_at_the_start_every_five_seconds_and_at_the_end() -> None:
    tally = half_done(planned=100, done=99, traffic=Traffic(), errors=1, ungraded=2)
    assert lines({"scout": tally}, 1, 5, 6, 7) == [
        "100 requests to scout",
        "99/100 done · 19.8/s · 83.3% passing · 1 error · 2 ungraded · $0.0125 · ETA 0s",
    ]
    tally.done = 100
    assert lines({"scout": tally}, 4)[1:] == [
        "100/100 done · 25.0/s · 83.3% passing · 1 error · 2 ungraded · $0.0125 · writing the report"
    ]


def test_the_first_line_says_how_much_and_what_is_done_already() -> None:
    assert lines({"a": Tally(planned=9, already=3), "b": Tally(planned=9)}) == [
        "18 requests to 2 targets, 3 done before"
    ]


@pytest.mark.parametrize(
    ("budget", "written"),
    [
        (0.5, "$0.50"),
        (0.001, "$0.001"),
        (1e-8, "$0.00000001"),
        (20, "$20.00"),
        (1500.0, "$1,500.00"),
    ],
)
def test_a_budget_is_written_as_it_was_given(budget: float, written: str) -> None:
    assert f"$0.0125 of {written}" in lines({"scout": half_done()}, 5, budget=budget)[1]


def test_a_budget_that_will_not_do_is_foretold() -> None:
    assert "$0.0125 of $0.02, on course for $0.0563 · ETA" in panel(
        {"scout": half_done()}, budget=0.02
    )


def test_a_reader_of_messages_who_leaves_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", closed)
        display = LiveDisplay(open_terminal(), live=False)
        display.say("nobody reads this")
        display.say("nor this")
        assert closed.closed is False
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (200, "3m 20s"),
        (3600, "1h 00m"),
        (7500, "2h 05m"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said


def test_helpers_stand_under_the_targets_and_their_spending_is_in_the_total() -> None:
    clock, out = Clock(), StringIO()
    progress = Progress(
        {"scout": half_done()},
        {"referee": Tally(done=90, errors=2, traffic=Traffic(in_flight=3), cost=0.5)},
    )
    with LiveDisplay(Console(file=out, force_terminal=True, width=110), now=clock) as display:
        display.begin(progress, None)
        clock.time = 10
        display.tick()
    text = CONTROL.sub("", out.getvalue())
    frame = text[list(HEADER.finditer(text))[-1].start() :].splitlines()
    (row,) = [line for line in frame if line.startswith("referee (helper)")]
    assert row.split()[2:] == ["90", "9.0/s", "–", "2", "0", "3", "$0.5000", "–"]
    assert "$0.5125" in frame[-1]


def test_the_first_line_names_who_is_asked_besides() -> None:
    out = StringIO()
    with LiveDisplay(Console(file=out, width=80), live=False) as display:
        display.begin(Progress({"scout": half_done()}, {"referee": Tally()}), None)
    assert out.getvalue() == "450 requests to scout; also asks referee\n"


def test_requests_in_batches_are_told_as_such_while_they_are_waited_for() -> None:
    shown = panel({"scout": half_done(traffic=Traffic(), queued=350)}, since=30)
    assert shown.splitlines()[-1].endswith("waiting for 350 batched requests")
    assert re.sub("[━╸╺]+", "", shown.splitlines()[1]).split()[6] == "350"
    assert lines({"scout": half_done(traffic=Traffic(), queued=350)}, 10)[-1].count("queued") == 1


def test_a_resumed_run_shows_what_all_of_it_spent_of_its_budget() -> None:
    with LiveDisplay(Console(file=StringIO(), width=60), now=Clock()) as display:
        display.begin(
            Progress({"scout": half_done(already=50, cost=0.01)}, spent_before=0.0204691456), 0.05
        )
        assert "$0.0305 of $0.05, on course for $0.0605 ·" in display.line()


def test_one_request_is_not_several() -> None:
    assert lines({"scout": Tally(planned=1)}) == ["1 request to scout"]
