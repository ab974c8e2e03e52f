"""The report's plots as SVG: pass rates with intervals, latency distributions, cost.

What they show is in `plot_data`. Drawn through matplotlib's object interface (no pyplot, no global
state). Colours are CSS variables inside each SVG, so that it follows the reader's light or dark
preference, in the report and on its own. Labels are data: mathtext is off, and characters that XML
does not have are replaced before.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.analysis import formatting
from harness.reporters.plot_data import PlotData

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


def draw_plots(data: PlotData) -> dict[str, bytes]:
    """File name -> SVG, for each plot there are data for."""
    drawers: Mapping[str, Callable[[PlotData], Figure | None]] = {
        "pass_rate": _pass_rates,
        "latency": _latencies,
        "cost": _costs,
    }
    with mpl.rc_context(_STYLE):
        figures = {name: draw(data) for name, draw in drawers.items()}
        return {
            f"{name}.svg": _svg(figure) for name, figure in figures.items() if figure is not None
        }


def _pass_rates(data: PlotData) -> Figure | None:
    rows = data.pass_rates
    if not rows:
        return None
    figure, axes = _rows_figure(rows)
    for position, (_, value, low, high) in enumerate(rows):
        if value is None:
            continue
        if low is not None and high is not None:
            axes.plot([low, high], [position, position], color=_SERIES[0], linewidth=5, alpha=0.3)
        axes.plot([value], [position], "o", color=_SERIES[0], markersize=6)
    axes.set_xlim(-0.01, 1.01)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f} %"))
    return figure


def _costs(data: PlotData) -> Figure | None:
    rows = data.costs
    if not any(cost for _, cost in rows):
        return None
    figure, axes = _rows_figure(rows)
    known = [(position, cost) for position, (_, cost) in enumerate(rows) if cost is not None]
    axes.barh(
        [position for position, _ in known],
        [cost for _, cost in known],
        height=0.55,
        color=_SERIES[2],
        alpha=0.85,
    )
    for position, cost in known:
        axes.annotate(
            formatting.format_dollars(cost),
            (cost, position),
            (5, 0),
            textcoords="offset points",
            va="center",
            color=_MUTED,
        )
    axes.set_xlim(0, max(cost for _, cost in known) * 1.16)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:g}"))
    return figure


def _latencies(data: PlotData) -> Figure | None:
    """Distribution curves where few configurations are compared, else each one's median to 95th
    percentile."""
    if data.curves:
        return _curves(data.curves)
    return _ranges(data.ranges) if data.ranges else None


def _curves(data: Sequence[tuple[str, Any, Any]]) -> Figure:
    figure, axes = _figure(4.6)
    curves: list[Any] = []
    for colour, (_, seconds, share) in zip(_SERIES, data, strict=False):
        curves += axes.step(seconds, share, where="post", color=colour, linewidth=1.8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f} %"))
    axes.set_ylabel("share of answers within")
    _time_axis(axes)
    axes.grid(visible=True, linewidth=0.7)
    shown = [
        label for label, _, _ in data
    ]  # given here: matplotlib hides a curve whose own label starts with _
    axes.legend(curves, shown, loc="lower right", labelcolor=_INK, fontsize=8.5)
    return figure


def _ranges(rows: Sequence[tuple[str, float | None, float | None]]) -> Figure:
    figure, axes = _rows_figure(rows)
    for position, (_, median, tail) in enumerate(rows):
        if median is None:
            continue
        axes.plot([median, tail], [position, position], color=_SERIES[0], linewidth=4, alpha=0.3)
        axes.plot([median], [position], "o", color=_SERIES[0], markersize=6)
        axes.plot([tail], [position], "|", color=_SERIES[0], markersize=9, markeredgewidth=1.6)
    _time_axis(axes)
    axes.set_xlabel("latency: median (dot) to 95th percentile (bar)")
    return figure


def _time_axis(axes: Any) -> None:
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: formatting.format_seconds(value) if value else "0")
    )


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


def _rows_figure(rows: Sequence[tuple[Any, ...]]) -> tuple[Figure, Any]:
    """One horizontal row each, the first on top; one without a value is a heading."""
    figure, axes = _figure(0.8 + 0.34 * len(rows))
    axes.set_yticks(range(len(rows)), [label for label, *_ in rows])
    for text, (_, value, *_) in zip(axes.get_yticklabels(), rows, strict=True):
        text.set_fontweight("bold" if value is None else "normal")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=True, axis="x", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure) -> bytes:
    """The figure as SVG without metadata or anything to fetch, its colours as variables."""
    sink = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # a glyph the measuring font lacks: the reader's font draws it
        figure.savefig(
            sink,
            format="svg",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
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
