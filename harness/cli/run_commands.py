"""The commands about runs: run, resume, report, show."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    BudgetOption,
    Concurrency,
    EnvFile,
    Filters,
    Limit,
    Repeats,
    RunFolder,
    Settings,
    SkipUnreachable,
    SuitePath,
    Targets,
    parse_budget,
    parse_overrides,
)
from harness.cli.output import conclude_run, open_display, print_lines, report_process
from harness.errors import UsageError


def run(
    suite: SuitePath,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The run's folder. Default: a new one under reports/runs.", metavar="FOLDER"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing run in the --out folder.")
    ] = False,
    limit: Limit = None,
    target: Targets = None,
    filter_: Filters = None,
    repeats: Repeats = None,
    concurrency: Concurrency = None,
    set_: Settings = None,
    budget: BudgetOption = None,
    env_file: EnvFile = None,
    skip_unreachable: SkipUnreachable = False,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Reuse the answers of an earlier run (a folder, or `latest`) where they match.",
            metavar="RUN",
        ),
    ] = None,
    replay_only: Annotated[
        Path | None,
        typer.Option(
            help="Like --replay, but send nothing; a request that is not recorded is an error.",
            metavar="RUN",
        ),
    ] = None,
    failed_of: Annotated[
        str | None,
        typer.Option(
            help="Run only what failed, ended in an error or was not graded in an earlier run.",
            metavar="RUN",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the first prompts and the exact requests without sending them."
        ),
    ] = False,
) -> None:
    """Run a suite, then report on it.

    \b
    Example:
      harness run suites/quickstart.yaml --limit 10 --set sampling.temperature=0
    """
    read_overrides = partial(
        parse_overrides, limit, target, filter_, repeats, concurrency, set_, budget, failed_of
    )
    if dry_run:
        from harness.app import preview  # noqa: PLC0415

        print_lines(preview.dry_run(suite, read_overrides()))
        return
    if replay and replay_only:
        raise UsageError("--replay and --replay-only cannot be combined; give one of them")
    with report_process() as maker:
        from harness.app import run as runs  # noqa: PLC0415 — while the other process loads what the report needs

        with open_display(maker) as display:
            finished = runs.run_requests(
                suite,
                out=out,
                overrides=read_overrides(),
                env_file=env_file,
                skip_unreachable=skip_unreachable,
                replay=replay or replay_only,
                replay_only=replay_only is not None,
                overwrite=overwrite,
                display=display,
            )
        conclude_run(maker, [finished.folder], stopped=finished.stopped, codes=finished.codes)


def resume(
    folder: RunFolder,
    retry_errors: Annotated[
        bool,
        typer.Option("--retry-errors", help="Also retry trials that ended in a permanent error."),
    ] = False,
    budget: BudgetOption = None,
    env_file: EnvFile = None,
    skip_unreachable: SkipUnreachable = False,
) -> None:
    """Continue a run that was stopped or killed, sending only what is still missing.

    \b
    Example:
      harness resume reports/runs/quickstart/2026-11-22T10-15-00Z-1f3a --budget 1.00
    """
    with report_process() as maker:
        from harness.app import run as runs  # noqa: PLC0415 — while the other process loads what the report needs

        with open_display(maker) as display:
            finished = runs.resume_requests(
                folder,
                retry_errors=retry_errors,
                budget=parse_budget(budget),
                env_file=env_file,
                skip_unreachable=skip_unreachable,
                display=display,
            )
        conclude_run(maker, [finished.folder], stopped=finished.stopped, codes=finished.codes)


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="The folders of one or more runs; also `latest` or `latest:SUITE`.",
            metavar="RUN...",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The report's folder. Default: the run's, or reports/compared.",
            metavar="FOLDER",
        ),
    ] = None,
) -> None:
    """Report on a run, finished or not, or compare several side by side.

    \b
    Example:
      harness report reports/runs/quickstart/*
    """
    conclude_run(None, runs, out)


def show(
    run: RunFolder,
    case: Annotated[
        str | None,
        typer.Argument(
            help="The case, as reports print it: `eval/id`, its id, or its row (`cases.csv:17`).",
            metavar="CASE",
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Only this prompt.", metavar="NAME")] = None,
    target: Annotated[str | None, typer.Option(help="Only this target.", metavar="NAME")] = None,
    failed: Annotated[
        bool,
        typer.Option(
            "--failed", help="Only trials that failed, ended in an error or were not graded."
        ),
    ] = False,
) -> None:
    """Print a case, or everything that failed: requests, answers and grades.

    \b
    Example:
      harness show latest add-2digit-01
      harness show latest --failed
    """
    from harness.app.show import show_trials  # noqa: PLC0415

    print_lines(show_trials(run, case, prompt=prompt, target=target, failed=failed))
