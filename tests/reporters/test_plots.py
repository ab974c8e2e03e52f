"""Plots: valid, self-contained SVG whatever the names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from xml.etree import ElementTree

import pytest

from harness.analysis.report_data import Report
from harness.reporters import plots
from harness.reporters.plot_data import collect_plot_data

SVG = "{http://www.w3.org/2000/svg}"


def texts(image: bytes) -> list[str]:
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(image).iter(f"{SVG}text")
    ]


def test_the_plots_of_a_run(typical: Report) -> None:
    found = plots.draw_plots(collect_plot_data(typical))
    assert list(found) == ["pass_rate.svg", "latency.svg", "cost.svg"]
    for image in found.values():
        assert "terse · temperature=0.7" in texts(image)
        assert b"prefers-color-scheme" in image
        assert b"<!DOCTYPE" not in image
        assert b"purl.org" not in image


def test_plots_are_reproducible(typical: Report) -> None:
    assert plots.draw_plots(collect_plot_data(typical)) == plots.draw_plots(
        collect_plot_data(typical)
    )


@pytest.mark.parametrize(
    "name", ["a$x^{$b", "$\\frac{1}{2}$", "\x01\x1b", "\ud800", "日本語 👩‍🚀", "_^%&#"]
)
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
