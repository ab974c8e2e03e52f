"""Plots: valid, self-contained SVG whatever the names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from xml.etree import ElementTree

import msgspec
import pytest

from harness.analysis.frame import build_frames
from harness.analysis.report_data import Report
from harness.analysis.summarize import build_report
from harness.model import Record
from harness.reporters import html, plots
from harness.reporters.plot_data import collect_plot_data
from harness.reporters.ranking import rank_configurations

SVG = "{http://www.w3.org/2000/svg}"


def texts(image: bytes) -> list[str]:
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(image).iter(f"{SVG}text")
    ]


def test_the_plots_of_a_run_are_the_same_when_drawn_again(typical: Report) -> None:
    found = plots.draw_plots(collect_plot_data(typical))
    assert found == plots.draw_plots(collect_plot_data(typical))
    assert list(found) == ["pass_rate.svg", "latency.svg", "cost.svg"]
    for image in found.values():
        assert "terse · temperature=0.7" in texts(image)
        assert b"prefers-color-scheme" in image
        assert b"<!DOCTYPE" not in image
        assert b"purl.org" not in image


@pytest.mark.parametrize("name", ["a$x^{$b", "$\\frac{1}{2}$ _^%&#", "\x01\x1b \ud800 日本語 👩‍🚀"])
def test_any_name_can_be_plotted(hostile: Callable[[str], Report], name: str) -> None:
    """X06, X07: mathtext is off, and what XML does not have is replaced."""
    for image in plots.draw_plots(collect_plot_data(hostile(name))).values():
        assert ElementTree.fromstring(image).tag == f"{SVG}svg"


def test_many_configurations_are_ranges_instead_of_curves(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    points: Sequence[float] = [point / 10 for point in range(9)]
    found = plots.draw_plots(
        collect_plot_data(
            compared(
                build.record(str(case), setting={"temperature": t})
                for t in points
                for case in range(3)
            )
        )
    )
    assert any("median" in text for text in texts(found["latency.svg"]))


def test_what_was_not_measured_is_not_plotted(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    assert plots.draw_plots(collect_plot_data(compared([build.errored()]))) == {}


def test_of_many_configurations_the_best_the_worst_and_the_front_are_plotted_and_said(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    """Two targets × 30 settings; a setting passes ever more, and the worst but one is cheapest."""

    def swept(target: str, setting: int, case: int) -> Record:
        cost = 0.0001 if (target, setting) == ("tiny", 1) else 0.001
        asked = msgspec.structs.replace(build.exchange(cost=cost), target=target)
        facts = {"target": target, "setting": {"top_k": setting}, "exchanges": (asked,)}
        return build.record(str(case), passed=case < setting, cost=cost, **facts)

    report = compared(
        swept(target, setting, case)
        for target in ("scout", "tiny")
        for setting in range(30)
        for case in range(29)
    )
    data = collect_plot_data(report)
    rows = [(label, value) for label, value, _, _ in data.pass_rates]
    assert [row for row in rows if row[1] is None] == [("scout", None), ("tiny", None)]
    assert len(rows) == 26
    scout, tiny = rows[1 : rows.index(("tiny", None))], rows[rows.index(("tiny", None)) + 1 :]
    assert (scout[0], scout[-1]) == (("top_k=29", 1.0), ("top_k=0", 0.0))
    assert [label for label, _ in tiny][-2:] == ["top_k=1", "top_k=0"]
    assert [value for _, value in scout] == sorted((value for _, value in scout), reverse=True)
    assert b"24 of 60 configurations: the best, the worst" in html.render_page(
        report, {"cost.svg": b""}
    )


def test_tables_have_the_best_first_and_runs_side_by_side(build: ModuleType) -> None:
    def records(best: int) -> list[Record]:
        return [
            build.record(
                str(case), setting={"top_k": setting}, passed=case < 4 - abs(setting - best)
            )
            for setting in range(4)
            for case in range(4)
        ]

    runs = [(build.manifest("a"), records(2)), (build.manifest("b"), records(2)[:-4])]
    report = build_report(build_frames(runs), [manifest for manifest, _ in runs])
    ranked = [report.configurations[number] for number in rank_configurations(report)]
    assert [(c.setting["top_k"], c.run) for c in ranked] == [
        (2, "a"),
        (2, "b"),
        (1, "a"),
        (1, "b"),
        (3, "a"),
        (0, "a"),
        (0, "b"),
    ]
