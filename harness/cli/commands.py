"""Words in, exit code out: the commands, their options and their help.

Everything heavy is imported inside the command that needs it, so that `harness --help` is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from decimal import Decimal
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from harness import __version__
from harness.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from harness.app.background import BackgroundProcess
    from harness.cli.display import LiveDisplay
    from harness.simulator import Config
    from harness.suite import Overrides

EXIT_CODES = """\b
First steps: harness init my-evals && harness run my-evals/suites/quickstart.yaml

\b
Exit codes:
  0    every gate holds, or there is none
  1    a gate failed
  2    wrong usage or suite, or a gate has no figure to judge
  3    a gate is inconclusive, and the suite is strict
  4    too many errors: the target, the network or the disk did not hold
  5    the budget stopped the run
  70   a bug
  130  interrupted"""


class Commands(TyperGroup):
    """The commands; an interrupt is left to `main`, where typer would end with a code of its own and no word."""

    def invoke(self, ctx: Any) -> Any:
        """Carry out the command. Raises `Interrupted` where Ctrl-C ended it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise Interrupted from interrupt


class Interrupted(Exception):
    """Ctrl-C, on its way through typer."""


app = typer.Typer(
    name="harness",
    cls=Commands,
    help="Evaluate and benchmark language models from a YAML suite.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    rich_markup_mode=None,
)

SuitePath = Annotated[Path, typer.Argument(help="The suite, a YAML file.", metavar="SUITE", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(help="A run's folder.", metavar="RUN", show_default=False)]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N cases of each eval.", metavar="N")]
Targets = Annotated[list[str] | None, typer.Option("--target", help="Only this target. May be repeated.", metavar="NAME")]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help="Only what matches: tag=money, id=refund, prompt=v2, eval=triage; tag!=hard for the others. All must hold.",
        metavar="KEY=VALUE",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A sampling parameter, such as sampling.temperature=0. May be repeated.", metavar="KEY=VALUE"),
]
Repeats = Annotated[int | None, typer.Option(min=1, help="Ask every question N times.", metavar="N")]
Concurrency = Annotated[int | None, typer.Option(min=1, help="Requests in flight to each target.", metavar="N")]
BudgetOption = Annotated[str | None, typer.Option(help="Spend at most this many US dollars: 0.50.", metavar="DOLLARS")]
EnvFile = Annotated[Path | None, typer.Option(help="Variables for this run, as NAME=value lines.", metavar="FILE")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Evaluate and benchmark language models from a YAML suite."""
    if version:
        _print_lines([f"evalharness {__version__}"])
        raise typer.Exit


@app.command()
def run(
    suite: SuitePath,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder. Default: a new one under reports/runs.", metavar="FOLDER")
    ] = None,
    limit: Limit = None,
    target: Targets = None,
    filter_: Filters = None,
    repeats: Repeats = None,
    concurrency: Concurrency = None,
    set_: Settings = None,
    budget: BudgetOption = None,
    env_file: EnvFile = None,
    replay: Annotated[
        Path | None, typer.Option(help="Reuse the answers of an earlier run where they match.", metavar="RUN")
    ] = None,
    replay_only: Annotated[
        Path | None, typer.Option(help="As --replay, and send nothing: a miss is an error.", metavar="RUN")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the prompts and the exact requests; send nothing.")] = False,
) -> None:
    """Run a suite, then report on it.

    \b
    Example:
      harness run suites/quickstart.yaml --limit 10 --set sampling.temperature=0
    """
    if dry_run:
        from harness.app import preview  # noqa: PLC0415

        _print_lines(preview.dry_run(suite, _parse_overrides(limit, target, filter_, repeats, concurrency, set_, budget)))
        return
    if replay and replay_only:
        raise UsageError("--replay and --replay-only name the same thing; give one of them")
    with _report_process() as maker:
        from harness.app import run as runs  # noqa: PLC0415 — while the other process loads what the report needs

        with _open_display(maker) as display:
            finished = runs.run_requests(
                suite,
                out=out,
                overrides=_parse_overrides(limit, target, filter_, repeats, concurrency, set_, budget),
                env_file=env_file,
                replay=replay or replay_only,
                replay_only=replay_only is not None,
                display=display,
            )
        _conclude_run(maker, [finished.folder], stopped=finished.stopped, codes=finished.codes)


@app.command()
def resume(
    folder: RunFolder,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Ask again what ended in a permanent error.")] = False,
    budget: BudgetOption = None,
    env_file: EnvFile = None,
) -> None:
    """Go on with a run that was stopped: send what it still owes.

    \b
    Example:
      harness resume reports/runs/quickstart/2026-11-22T10-15-00Z-1f3a --budget 1.00
    """
    with _report_process() as maker:
        from harness.app import run as runs  # noqa: PLC0415 — while the other process loads what the report needs

        with _open_display(maker) as display:
            finished = runs.resume_requests(
                folder, retry_errors=retry_errors, budget=_parse_budget(budget), env_file=env_file, display=display
            )
        _conclude_run(maker, [finished.folder], stopped=finished.stopped, codes=finished.codes)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="One run's folder, or several.", metavar="RUN...", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes. Default: into the run, or reports/compared.", metavar="FOLDER")
    ] = None,
) -> None:
    """Report on a run, finished or not, or on several side by side.

    \b
    Example:
      harness report reports/runs/quickstart/*
    """
    _conclude_run(None, runs, out)


@app.command()
def show(
    run: RunFolder,
    case: Annotated[str, typer.Argument(help="The case's id.", metavar="CASE", show_default=False)],
    prompt: Annotated[str | None, typer.Option(help="Only this prompt.", metavar="NAME")] = None,
    target: Annotated[str | None, typer.Option(help="Only this target.", metavar="NAME")] = None,
) -> None:
    """Print one case: what was asked and answered, its grades.

    \b
    Example:
      harness show reports/runs/quickstart/2026-11-22T10-15-00Z-1f3a add-2digit-01
    """
    from harness.app import report  # noqa: PLC0415

    _print_lines(report.show_case(run, case, prompt=prompt, target=target))


@app.command()
def validate(
    suite: SuitePath,
    references: Annotated[
        bool, typer.Option("--references", help="Also check that each expected answer passes its own graders.")
    ] = False,
    gold: Annotated[bool, typer.Option("--gold", hidden=True)] = False,
) -> None:
    """Check a suite and count its requests, sending nothing.

    \b
    Example:
      harness validate suites/quickstart.yaml --references
    """
    from harness.app import preview  # noqa: PLC0415

    _print_lines(preview.validate_suite(suite, references=references or gold))


@app.command()
def schema() -> None:
    """Print the JSON Schema of suites, for editors.

    \b
    Example:
      harness schema > suites/suite.schema.json
    """
    from harness.suite import schema_json  # noqa: PLC0415

    _print_lines([schema_json().removesuffix("\n")])


@app.command()
def simulate(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port on 127.0.0.1; 0 takes a free one.", metavar="N")
    ] = 8787,
    config: Annotated[Path | None, typer.Option(help="Latency, faults and seed, as a JSON file.", metavar="FILE")] = None,
) -> None:
    """Serve the simulated Llama 4 Scout here, for any client.

    \b
    Example:
      harness simulate --port 8787
    """
    from harness import simulator  # noqa: PLC0415

    simulator.serve(_read_simulator_config(config), "127.0.0.1", port, announce=_announce_address)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where the workspace goes.", metavar="FOLDER")] = Path(),
) -> None:
    """Write a workspace that can be run at once: suites and evals.

    \b
    Example:
      harness init my-evals && harness run my-evals/suites/quickstart.yaml
    """
    from harness.app.init import write_workspace  # noqa: PLC0415

    _print_lines(f"wrote {path}" for path in write_workspace(folder))
    _print_lines(["", f"now: harness run {quote(str(folder / 'suites' / 'quickstart.yaml'))}"])


@app.command("list")
def list_(
    what: Annotated[
        Literal["all", "providers", "graders", "targets"],
        typer.Argument(help="What to show.", metavar="WHAT"),
    ] = "all",
    suites: Annotated[
        Path | None, typer.Option(help="The folder whose targets.yaml is read. Default: suites.", metavar="FOLDER")
    ] = None,
) -> None:
    """Show the providers, graders and targets a suite can name.

    \b
    Example:
      harness list graders
    """
    from harness.app import preview  # noqa: PLC0415

    if suites is not None and not suites.is_dir():
        raise UsageError(f"--suites {suites}: there is no such folder")
    _print_lines(preview.list_names(what, suites or Path("suites")))


# ── Helpers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _parse_overrides(
    limit: int | None,
    targets: list[str] | None,
    filters: list[str] | None,
    repeats: int | None,
    concurrency: int | None,
    settings: list[str] | None,
    budget: str | None,
) -> Overrides:
    from harness.suite import Overrides  # noqa: PLC0415

    return Overrides(
        limit=limit,
        targets=tuple(targets or ()),
        filters=tuple(filters or ()),
        repeats=repeats,
        concurrency=concurrency,
        sampling=_parse_sampling(settings or []),
        budget=_parse_budget(budget),
    )


def _parse_sampling(settings: list[str]) -> dict[str, Any]:
    """`sampling.temperature=0.2` -> {"temperature": 0.2}; the value is read as JSON where it is JSON."""
    import json  # noqa: PLC0415

    sampling = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        parameter = name.removeprefix("sampling.")
        if not equals or parameter == name:
            raise UsageError(f"--set {setting}: write it as sampling.PARAMETER=VALUE, such as sampling.temperature=0")
        try:
            sampling[parameter] = json.loads(value)
        except json.JSONDecodeError:
            sampling[parameter] = value
    return sampling


def _parse_budget(text: str | None) -> Decimal | None:
    """US dollars. What a shell makes of an unquoted `$1` or `$0.50` is wrong in a way that is worth a hint."""
    from harness.config.units import parse_money  # noqa: PLC0415

    if text is None:
        return None
    try:
        return parse_money(text)
    except ValueError as wrong:
        raise UsageError(f"--budget: {wrong}. A shell replaces `$1` in an unquoted $1.50: leave the dollar sign out") from wrong


def _read_simulator_config(path: Path | None) -> Config:
    from harness.simulator import Config  # noqa: PLC0415

    if path is None:
        return Config()
    try:
        return Config.from_json(path.read_text("utf-8"))
    except OSError as wrong:
        raise UsageError(f"{path}: cannot be read: {wrong.strerror or wrong}") from wrong
    except UnicodeDecodeError as wrong:
        raise UsageError(f"{path}: is not UTF-8 at byte {wrong.start}") from wrong


def _announce_address(url: str) -> None:
    """The address alone on standard output, so that a script can read it; the rest for a person."""
    _print_lines([url])
    hint = f"OpenAI: {url}/v1 · Workers AI: {url}/client/v4/accounts/any · Ctrl-C ends it"
    with suppress(BrokenPipeError):
        print(hint, file=sys.stderr, flush=True)


def _print_lines(lines: Iterable[str]) -> None:
    """Print lines as they come. Where the reader has left (`… | head`), the rest is not wanted, and nobody is told."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output once more as it ends, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_display(maker: BackgroundProcess | None) -> LiveDisplay:
    """A display on the terminal; when requests are sent, `maker` uses no time any more that their clocks may want."""
    from harness.cli.display import LiveDisplay, open_terminal  # noqa: PLC0415

    console, on_begin = open_terminal(), maker.pause if maker else lambda: None
    return LiveDisplay(console, live=console.is_interactive and sys.stderr.isatty(), on_begin=on_begin)


@contextmanager
def _report_process() -> Iterator[BackgroundProcess | None]:
    """A process that gets ready to make the report while the run starts, where that helps; it ends with the command."""
    from harness.app.report_job import start_report_process  # noqa: PLC0415

    with start_report_process() or nullcontext() as maker:
        yield maker


def _conclude_run(
    maker: BackgroundProcess | None,
    runs: Sequence[Path],
    out: Path | None = None,
    *,
    stopped: Sequence[str] = (),
    codes: Sequence[ExitCode] = (),
) -> None:
    """Print the result table, write the report, say what stopped the run and how to go on, and end with the exit code."""
    from harness.app.report_job import ReportJob, make_report  # noqa: PLC0415
    from harness.cli.display import closing_lines, terminal_style  # noqa: PLC0415

    steps = make_report(maker, ReportJob(tuple(runs), out, tuple(codes), *terminal_style()))
    shown = next(steps)
    _print_lines([shown.table])
    for _ in steps:  # until the files are written
        pass
    _print_lines(closing_lines(shown.folder, stopped, shown.exit_code))
    if shown.exit_code != ExitCode.OK:
        raise typer.Exit(shown.exit_code)
