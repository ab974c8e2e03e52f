"""The options that several commands share, and what they mean."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.suite import Overrides

SuitePath = Annotated[
    Path, typer.Argument(help="The suite, a YAML file.", metavar="SUITE", show_default=False)
]
RunFolder = Annotated[
    Path,
    typer.Argument(
        help="A run's folder, `latest` or `latest:SUITE`.", metavar="RUN", show_default=False
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Only the first N cases of each eval.", metavar="N")
]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", help="Only this target. May be repeated.", metavar="NAME"),
]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help=(
            "Only matching trials: tag=money, id=refund, prompt=v2, eval=triage; tag!=hard negates."
            " May be repeated; all must match."
        ),
        metavar="KEY=VALUE",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Set a sampling parameter, such as sampling.temperature=0. May be repeated.",
        metavar="KEY=VALUE",
    ),
]
Repeats = Annotated[
    int | None, typer.Option(min=1, help="Ask every question N times.", metavar="N")
]
Concurrency = Annotated[
    int | None, typer.Option(min=1, help="Requests in flight to each target.", metavar="N")
]
BudgetOption = Annotated[
    str | None,
    typer.Option(help="Spend at most this many US dollars, such as 0.50.", metavar="DOLLARS"),
]
SkipUnreachable = Annotated[
    bool,
    typer.Option(
        "--skip-unreachable",
        help="Skip targets that cannot be reached; `harness resume` runs them later.",
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Option(
        help="Read environment variables from this file (NAME=value lines).", metavar="FILE"
    ),
]


def parse_overrides(
    limit: int | None,
    targets: list[str] | None,
    filters: list[str] | None,
    repeats: int | None,
    concurrency: int | None,
    settings: list[str] | None,
    budget: str | None,
    failed_of: str | None = None,
) -> Overrides:
    from harness.suite import Overrides  # noqa: PLC0415

    return Overrides(
        limit=limit,
        targets=tuple(targets or ()),
        filters=tuple(filters or ()),
        repeats=repeats,
        concurrency=concurrency,
        sampling=_parse_sampling(settings or []),
        budget=parse_budget(budget),
        failed_of=failed_of,
    )


def _parse_sampling(settings: list[str]) -> dict[str, Any]:
    """`sampling.temperature=0.2` -> {"temperature": 0.2}; the value is read as JSON where it is
    JSON."""
    import json  # noqa: PLC0415

    from harness.suite import sampling_overrides  # noqa: PLC0415

    given: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(
                f"--set {setting}: write it as sampling.PARAMETER=VALUE, such as"
                " sampling.temperature=0"
            )
        try:
            given[name] = json.loads(value)
        except json.JSONDecodeError:
            given[name] = value
    return sampling_overrides(given)


def parse_budget(text: str | None) -> Decimal | None:
    """US dollars. What a shell makes of an unquoted `$1` or `$0.50` is wrong in a way that is worth
    a hint."""
    from harness.config.units import parse_money  # noqa: PLC0415

    if text is None:
        return None
    try:
        return parse_money(text)
    except ValueError as wrong:
        raise UsageError(
            f"--budget: {wrong}. A shell replaces `$1` in an unquoted $1.50: leave the dollar"
            " sign out"
        ) from wrong
