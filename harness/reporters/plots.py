"""The report's plots as SVG: pass rates with intervals, latency distributions, cost.

Drawn through matplotlib's object interface (no pyplot, no global state). Colours are CSS variables inside each SVG, so that it
follows the reader's light or dark preference, in the report and on its own. Labels are data: mathtext is off, and characters
that XML does not have are replaced.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.analysis import formatting
from harness.analysis.report_data import Report
from harness.reporters.escape import escape_for, one_line
from harness.reporters.tables import short_labels

CONFIGURATION_LIMIT = 24
"""Configurations a plot shows; more are not readable."""
CURVE_LIMIT = 6
"""Latency curves a plot tells apart."""
POINT_LIMIT = 1_000
"""Steps a curve is drawn with."""

# A colour matplotlib draws with -> the CSS variable it becomes, its light value and its dark value.
_COLOURS = {
    "#010101": ("ink", "#1f2328", "#e6e8eb"),
    "#020202": ("muted", "#6b7280", "#9aa3af"),
    "#030303": ("grid", "#e5e7eb", "#2d333b"),
    "#040404": ("s1", "#2f6bd8", "#7aa7ff"),
    "#050505": ("s2", "#c2680a", "#f0a54a"),
    "#060606": ("s3", "#0d8f7d", "#4fd1bd"),
    "#070707": ("s4", "#a8427f", "#ef8fc7"),
    "#080808": ("s5", "#6d55c9", "#b3a1ff"),
    "#090909": ("s6", "#7a7f87", "#aab1bb"),
}
_INK, _MUTED, _GRID, *_SERIES = _COLOURS

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "harness",
    "text.usetex": False,
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": _INK,
    "axes.labelcolor": _MUTED,
    "axes.edgecolor": _GRID,
    "xtick.color": _MUTED,
    "ytick.color": _INK,
    "grid.color": _GRID,
    "axes.grid": False,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
}

_label = escape_for("plot")


def draw_plots(comparison: Report) -> dict[str, bytes]:
    """File name -> SVG, for each plot there are data for."""
    labels = [_label(one_line(text, 56)) for text in short_labels(comparison)]
    drawers: Mapping[str, Callable[[Report, Sequence[str]], Figure | None]] = {
        "pass_rate": _pass_rates,
        "latency": _latencies,
        "cost": _costs,
    }
    with mpl.rc_context(_STYLE):
        figures = {name: draw(comparison, labels) for name, draw in drawers.items()}
        return {f"{name}.svg": _svg(figure) for name, figure in figures.items() if figure is not None}


def _pass_rates(comparison: Report, labels: Sequence[str]) -> Figure | None:
    rows = [(label, c["pass_rate"]) for label, c in zip(labels, comparison.configurations, strict=True) if c["pass_rate"].n]
    if not rows:
        return None
    rows = rows[:CONFIGURATION_LIMIT]
    figure, axes = _rows_figure([label for label, _ in rows])
    for position, (_, estimate) in enumerate(rows):
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [position, position], color=_SERIES[0], linewidth=5, alpha=0.3)
        axes.plot([estimate.value], [position], "o", color=_SERIES[0], markersize=6)
    axes.set_xlim(-0.01, 1.01)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f} %"))
    return figure


def _costs(comparison: Report, labels: Sequence[str]) -> Figure | None:
    costs = [(label, c["cost_per_1000"].value) for label, c in zip(labels, comparison.configurations, strict=True)]
    rows = [(label, cost) for label, cost in costs if cost is not None][:CONFIGURATION_LIMIT]
    if not any(cost for _, cost in rows):
        return None
    figure, axes = _rows_figure([label for label, _ in rows])
    axes.barh(range(len(rows)), [cost for _, cost in rows], height=0.55, color=_SERIES[2], alpha=0.85)
    for position, (_, cost) in enumerate(rows):
        axes.annotate(
            formatting.format_dollars(cost), (cost, position), (5, 0), textcoords="offset points", va="center", color=_MUTED
        )
    axes.set_xlim(0, max(cost for _, cost in rows) * 1.16)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:g}"))
    return figure


def _latencies(comparison: Report, labels: Sequence[str]) -> Figure | None:
    """Distribution curves where few configurations are compared, else each one's median to 95th percentile."""
    measured = [number for number, c in enumerate(comparison.configurations) if c["latency.p50"].n]
    if not measured:
        return None
    return (_curves if len(measured) <= CURVE_LIMIT else _ranges)(comparison, labels, measured)


def _curves(comparison: Report, labels: Sequence[str], numbers: Sequence[int]) -> Figure:
    trials, cells = comparison.frames.trials, comparison.configurations
    figure, axes = _figure(4.6)
    curves: list[Any] = []
    for colour, number in zip(_SERIES, numbers, strict=False):
        c = cells[number]
        mine = (trials["run"] == c.run) & (trials["eval"] == c.eval) & (trials["prompt"] == c.prompt)
        mine &= (trials["target"] == c.target) & (trials["setting"] == _setting_text(comparison, number))
        seconds, share = _steps(trials.loc[mine, "latency"].dropna().to_numpy())
        curves += axes.step(seconds, share, where="post", color=colour, linewidth=1.8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f} %"))
    axes.set_ylabel("share of answers within")
    _time_axis(axes)
    axes.grid(visible=True, linewidth=0.7)
    shown = [labels[number] for number in numbers]  # given here: matplotlib hides a curve whose own label starts with _
    axes.legend(curves, shown, loc="lower right", labelcolor=_INK, fontsize=8.5)
    return figure


def _setting_text(comparison: Report, number: int) -> str:
    cells = comparison.cells
    worst = cells.loc[(cells["number"] == number).idxmax(), "worst"]
    text: str = comparison.frames.trials["setting"].iloc[worst]
    return text


def _steps(values: Any) -> tuple[Any, Any]:
    """The empirical distribution function, thinned to `POINT_LIMIT` steps."""
    ordered = np.sort(values)
    chosen = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), POINT_LIMIT)).astype(int))
    return np.concatenate(([ordered[0]], ordered[chosen])), np.concatenate(([0.0], (chosen + 1) / len(ordered)))


def _ranges(comparison: Report, labels: Sequence[str], numbers: Sequence[int]) -> Figure:
    numbers = numbers[:CONFIGURATION_LIMIT]
    figure, axes = _rows_figure([labels[number] for number in numbers])
    for position, number in enumerate(numbers):
        configuration = comparison.configurations[number]
        median, tail = configuration["latency.p50"].value, configuration["latency.p95"].value
        axes.plot([median, tail], [position, position], color=_SERIES[0], linewidth=4, alpha=0.3)
        axes.plot([median], [position], "o", color=_SERIES[0], markersize=6)
        axes.plot([tail], [position], "|", color=_SERIES[0], markersize=9, markeredgewidth=1.6)
    _time_axis(axes)
    axes.set_xlabel("latency: median (dot) to 95th percentile (bar)")
    return figure


def _time_axis(axes: Any) -> None:
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formatting.format_seconds(value) if value else "0"))


def _figure(height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(7.6, height), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure, axes


def _rows_figure(labels: Sequence[str]) -> tuple[Figure, Any]:
    """One horizontal row a label, the first on top."""
    figure, axes = _figure(0.8 + 0.34 * len(labels))
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=True, axis="x", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure) -> bytes:
    """The figure as SVG without metadata or anything to fetch, its colours as variables."""
    sink = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a glyph the measuring font lacks: the reader's font draws it
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = sink.getvalue().decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace("'DejaVu Sans'", "system-ui")
    for drawn, (name, _, _) in _COLOURS.items():
        text = text.replace(f": {drawn}", f": var(--{name})")
    return text.replace("<defs>", f"<style>{_stylesheet()}</style><defs>", 1).encode()


def _stylesheet() -> str:
    light = "".join(f"--{name}:{value};" for name, value, _ in _COLOURS.values())
    dark = "".join(f"--{name}:{value};" for name, _, value in _COLOURS.values())
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
