"""The report as one self-contained HTML page: no script, no request, readable in light and dark.

The template is `report.html.j2` beside this file. Every text passes `finalize` (controls and
reordering characters made visible) and then Jinja2's autoescape; only the plots' data URLs, made
here, are trusted, and those of images that are nothing but pixels in base64. Long tables are cut
and say so.
"""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import (
    Environment,
    FileSystemBytecodeCache,
    PackageLoader,
    StrictUndefined,
    Template,
)
from jinja2.bccache import Bucket

from harness.analysis import formatting
from harness.analysis.report_data import CaseAnswer, CaseRow, Cell, Configuration, Report
from harness.model import Image
from harness.model.images import MEDIA_TYPES, describe_image
from harness.reporters.escape import make_visible, one_line
from harness.reporters.listings import list_tables
from harness.reporters.plot_data import collect_plot_data, describe_choice
from harness.reporters.ranking import rank_configurations
from harness.reporters.tables import (
    FIGURES,
    VERDICTS,
    configuration_table,
    gate_name,
    run_facts,
    short_labels,
    total_facts,
)
from harness.wording import pluralize

CONFIGURATION_LIMIT = 300
TAG_LIMIT = 300
GATE_LIMIT = 200
ERROR_LIMIT = 50
CELL_LIMIT = 60
"""Configurations shown side by side for one case."""

MOODS = {
    "pass": "passed",
    "fail": "failed",
    "mixed": "some repeats failed",
    "error": "error",
    "ungraded": "ungraded",
    "none": "no verdict",
}
"""Class of a mark -> what it says. Each has a shape of its own: colour alone tells nobody."""

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")

_PLOTS = {
    "pass_rate.svg": ("Pass rate", "Passed / (passed + failed), with its 95 % interval."),
    "latency.svg": (
        "Latency",
        "First byte sent to last token; errored and replayed trials left out.",
    ),
    "cost.svg": ("Cost per 1,000 requests", "US dollars, retries included."),
}


def render_html(report: Report) -> bytes:
    """The page, UTF-8; a few megabytes at most, however many trials there were."""
    from harness.reporters.plots import draw_plots  # noqa: PLC0415 — matplotlib, which whoever has the plots need not load

    return render_page(report, draw_plots(collect_plot_data(report)))


def render_page(report: Report, drawn: Mapping[str, bytes]) -> bytes:
    """The page with plots that are drawn already: SVG by file name."""
    return load_template().render(**_template_context(report, drawn)).encode("utf-8", "replace")


class _CompiledTemplates(FileSystemBytecodeCache):
    """Keeps compiled templates where Python keeps compiled modules, if it may write there:
    compiling takes as long as all else of a small report."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                super().dump_bytecode(bucket)


@lru_cache
def load_template() -> Template:
    """The page's template, compiled once."""
    environment = Environment(
        loader=PackageLoader("harness.reporters", ""),
        autoescape=True,
        undefined=StrictUndefined,
        bytecode_cache=_CompiledTemplates(str(Path(__file__).with_name("__pycache__"))),
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: make_visible(value) if type(value) is str else value,
    )
    environment.filters.update(
        percent=formatting.format_percent,
        seconds=formatting.format_seconds,
        dollars=formatting.format_dollars,
        number=formatting.format_number,
        count=formatting.format_count,
        plural=pluralize,
        line=one_line,
    )
    return environment.get_template("report.html.j2")


def _template_context(report: Report, drawn: Mapping[str, bytes]) -> dict[str, Any]:
    suites = ", ".join(dict.fromkeys(run.suite for run in report.runs))
    labels = short_labels(report)
    return {
        "title": one_line(suites, 120) or "report",
        "report": report,
        "verdict_word": VERDICTS[report.verdict],
        "verdict_class": report.verdict.replace(" ", "-"),
        "descriptions": [run.description for run in report.runs if run.description][:1],
        "gates": [(gate, gate_name(report, gate)) for gate in report.gates[:GATE_LIMIT]],
        "tiles": list(_headline_tiles(report)),
        "table": _table_context(report),
        "tags": _tag_context(report, labels),
        "plots": [(*_PLOTS[name], _svg_data_url(svg)) for name, svg in drawn.items()],
        "plot_note": describe_choice(report),
        "cases": [_case_context(case, labels) for case in report.cases],
        "legend": _mood_legend(report),
        "listings": list(list_tables(report)),
        "errors": report.errors[:ERROR_LIMIT],
        "totals": total_facts(report),
        "run_facts": run_facts(report),
        "methods": _interval_methods(report),
        "figures": FIGURES,
    }


def _headline_tiles(report: Report) -> Iterator[tuple[str, str, str]]:
    """The headline figures: label, figure, and what it is out of."""
    totals = report.totals
    judged = totals.passed + totals.failed
    if judged:
        yield (
            "passed",
            formatting.format_percent(totals.passed / judged),
            f"{totals.passed:,} of {judged:,} judged",
        )
    errors = f"of {pluralize(totals.trials, 'trial')}"
    yield "errors", formatting.format_count(totals.errors), errors
    medians = [
        median for c in report.configurations if (median := c["latency.p50"].value) is not None
    ]
    if medians:
        yield (
            "median latency",
            _format_range(medians, formatting.format_seconds),
            "over the configurations",
        )
    spent = [value for value in (totals.spent, totals.graded, totals.users) if value is not None]
    if spent:
        yield (
            "spent",
            formatting.format_dollars(sum(spent)),
            f"{formatting.format_count(totals.output_tokens)} output tokens",
        )


def _format_range(values: Sequence[float], write: formatting.Formatter) -> str:
    low, high = write(min(values)), write(max(values))
    return low if low == high else f"{low} – {high}"


def _table_context(report: Report) -> dict[str, Any]:
    """The configuration table; the pass rate has a bar, so its cell is the estimate itself."""
    ranked = rank_configurations(report)[:CONFIGURATION_LIMIT]
    shown = [report.configurations[number] for number in ranked]
    table = configuration_table(shown, sorted(FIGURES, key=lambda figure: figure.is_extra))
    mixed = len({configuration.simulated for configuration in shown}) > 1
    cells = [
        _row_context(table.axes, table.figures, row, c)
        for row, c in zip(table.rows, shown, strict=True)
    ]
    return {
        "table": table,
        "rows": cells,
        "hidden": len(report.configurations) - len(shown),
        "extra": ", ".join(figure.title for figure in table.figures if figure.is_extra),
        "mixed": mixed,
    }


def _row_context(
    axes: Sequence[str], figures: Sequence[Any], row: Sequence[str], configuration: Configuration
) -> dict[str, Any]:
    values = list(zip(figures, row[len(axes) :], strict=True))
    return {
        "axes": row[: len(axes)],
        "values": [(figure, text, figure.tooltip(configuration)) for figure, text in values],
        "simulated": configuration.simulated,
        "configuration": configuration,
    }


def _tag_context(report: Report, labels: Sequence[str]) -> dict[str, Any]:
    rows = [
        (rate.tag, labels[rate.configuration], rate.pass_rate)
        for rate in report.tags
        if rate.pass_rate.n
    ]
    return {"rows": rows[:TAG_LIMIT], "hidden": max(0, len(rows) - TAG_LIMIT)}


def _case_context(case: CaseRow, labels: Sequence[str]) -> dict[str, Any]:
    cells = sorted(case.cells, key=lambda cell: (cell.bad == 0, cell.configuration))
    return {
        "row": case,
        "pictures": [_image_source(image) for image in case.images],
        "dots": [
            (mood := _cell_mood(cell), f"{labels[cell.configuration]}: {MOODS[mood]}")
            for cell in case.cells[:CELL_LIMIT]
        ],
        "cells": [
            (labels[cell.configuration], cell, [_answer_context(answer) for answer in cell.answers])
            for cell in cells[:CELL_LIMIT]
        ],
        "hidden": max(0, len(cells) - CELL_LIMIT),
        "trials": sum(cell.n for cell in case.cells),
    }


def _mood_legend(report: Report) -> list[tuple[str, str]]:
    """The marks on the page, and what each says."""
    seen = {_cell_mood(cell) for case in report.cases for cell in case.cells[:CELL_LIMIT]}
    return [(mood, said) for mood, said in MOODS.items() if mood in seen]


def _image_source(image: Image) -> tuple[str | None, str]:
    """The data URL of an image, None where it is not shown, and what is said of it.

    A run folder may have been written by anyone: only the four types of pixels are shown, and only
    what is base64.
    """
    if image.media_type not in MEDIA_TYPES or not _BASE64.fullmatch(image.data):
        return None, describe_image(image)
    # Its type and size may be those of a smaller copy: the pixels are the case's own.
    about = (
        f"{image.width:,} × {image.height:,} pixels" if image.width and image.height else "image"
    )
    return f"data:{image.media_type};base64,{image.data}", about


def _cell_mood(cell: Cell) -> str:
    """Which of `MOODS` a cell is in: that of what is most worth reading."""
    if cell.failed:
        return "mixed" if cell.passed else "fail"
    return (
        "error"
        if cell.errors
        else "ungraded"
        if cell.ungraded
        else "pass"
        if cell.passed
        else "none"
    )


def _answer_context(answer: CaseAnswer) -> dict[str, Any]:
    facts = [formatting.format_seconds(answer.latency)] if answer.latency is not None else []
    facts += [formatting.format_dollars(answer.cost)] if answer.cost is not None else []
    facts += [f"score {formatting.format_score(answer.score)}"] if answer.score is not None else []
    facts += (
        [f"stopped: {answer.finish_reason}"] if answer.finish_reason not in {None, "stop"} else []
    )
    return {"answer": answer, "facts": " · ".join(facts), "mood": answer.outcome.replace(" ", "-")}


def _interval_methods(report: Report) -> list[str]:
    """How the intervals were made, each once, the commonest first."""
    found = Counter(
        c[figure.name].method
        for c in report.configurations
        for figure in FIGURES
        if figure.metric.has_interval and (estimate := c[figure.name]).n and estimate.method
    )
    return [method for method, _ in found.most_common(8)]


def _svg_data_url(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
