"""Words in, exit code out: the commands, their options and their help.

Everything heavy is imported inside the command that needs it, so that `harness --help` is instant.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from harness import __version__
from harness.errors import ExitCode, UsageError

app = typer.Typer(
    name="harness",
    help="Evaluate and benchmark language models from a YAML suite.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)

SuitePath = Annotated[Path, typer.Argument(help="The suite, a YAML file.", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(help="A run's folder.", show_default=False)]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N cases of each eval.")]
Targets = Annotated[list[str] | None, typer.Option("--target", help="Only this target. May be repeated.")]
Filters = Annotated[
    list[str] | None, typer.Option("--filter", help="Only cases that match: tag=money, id=refund, tag!=hard. Repeat for and.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="A sampling parameter, such as sampling.temperature=0.")]
Repeats = Annotated[int | None, typer.Option(min=1, help="Ask every question N times.")]
Concurrency = Annotated[int | None, typer.Option(min=1, help="Requests in flight to each target.")]
BudgetOption = Annotated[str | None, typer.Option(help="Spend at most this: $0.50.", metavar="$X")]
EnvFile = Annotated[Path | None, typer.Option(help="Variables for this run, as NAME=value lines.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Evaluate and benchmark language models from a YAML suite."""
    if version:
        print(f"evalharness {__version__}")
        raise typer.Exit


@app.command()
def run(
    suite: SuitePath,
    out: Annotated[Path | None, typer.Option(help="The run's folder. Default: a new one under reports/runs.")] = None,
    limit: Limit = None,
    target: Targets = None,
    filter_: Filters = None,
    repeats: Repeats = None,
    concurrency: Concurrency = None,
    set_: Settings = None,
    budget: BudgetOption = None,
    env_file: EnvFile = None,
    replay: Annotated[Path | None, typer.Option(help="Reuse the answers of an earlier run where they match.")] = None,
    replay_only: Annotated[Path | None, typer.Option(help="As --replay, and send nothing: a miss is an error.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the prompts and the exact requests; send nothing.")] = False,
) -> None:
    """Run a suite, then report on it.

    Example: harness run suites/quickstart.yaml --limit 10 --set sampling.temperature=0
    """
    from harness import evaluate, preview  # noqa: PLC0415

    overrides = _overrides(limit, target, filter_, repeats, concurrency, set_, budget)
    if dry_run:
        _print(preview.dry_run(suite, overrides))
        return
    if replay and replay_only:
        raise UsageError("--replay and --replay-only name the same thing; give one of them")
    with _display() as display:
        outcome = evaluate.run(
            suite,
            out=out,
            overrides=overrides,
            env_file=env_file,
            replay=replay or replay_only,
            replay_only=replay_only is not None,
            display=display,
        )
    _conclude(outcome)


@app.command()
def resume(
    folder: RunFolder,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Ask again what ended in a permanent error.")] = False,
    budget: BudgetOption = None,
    env_file: EnvFile = None,
) -> None:
    """Go on with a run that was stopped: send what it still owes.

    Example: harness resume reports/runs/quickstart/2026-11-22T10-15-00Z-1f3a --budget $1
    """
    from harness import evaluate  # noqa: PLC0415
    from harness.suite.units import money  # noqa: PLC0415

    amount = None if budget is None else _unit(money, budget, "--budget")
    with _display() as display:
        outcome = evaluate.resume(folder, retry_errors=retry_errors, budget=amount, env_file=env_file, display=display)
    _conclude(outcome)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="One run folder, or several to put side by side.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Where the report goes. Default: into the run, or reports/compared.")] = None,
) -> None:
    """Report on a run, finished or not, or on several side by side.

    Example: harness report reports/runs/quickstart/*
    """
    from harness import results  # noqa: PLC0415

    _conclude(results.report(runs, out))


@app.command()
def show(
    run: RunFolder,
    case: Annotated[str, typer.Argument(help="The case's id.", show_default=False)],
    prompt: Annotated[str | None, typer.Option(help="Only this prompt.")] = None,
    target: Annotated[str | None, typer.Option(help="Only this target.")] = None,
) -> None:
    """Print what was asked and answered for one case, with every grade and its reason.

    Example: harness show reports/runs/quickstart/2026-11-22T10-15-00Z-1f3a add-2digit-01
    """
    from harness import results  # noqa: PLC0415

    _print(results.show(run, case, prompt=prompt, target=target))


@app.command()
def validate(
    suite: SuitePath,
    gold: Annotated[bool, typer.Option("--gold", help="Also check that each expected answer passes its own graders.")] = False,
) -> None:
    """Check a suite without sending anything, and say how many requests it makes.

    Example: harness validate suites/quickstart.yaml --gold
    """
    from harness import preview  # noqa: PLC0415

    _print(preview.validate(suite, check_gold=gold))


@app.command()
def schema() -> None:
    """Print the JSON Schema of suites, for editors.

    Example: harness schema > suites/suite.schema.json
    """
    from harness.suite import schema_json  # noqa: PLC0415

    sys.stdout.write(schema_json())


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 takes a free one.")] = 8787,
    config: Annotated[Path | None, typer.Option(help="Latency, faults and seed, as a JSON file (docs/simulator.md).")] = None,
) -> None:
    """Serve the simulated Llama 4 Scout on this machine, for any client.

    Example: harness simulate --port 8787
    """
    from harness import simulator  # noqa: PLC0415

    simulator.serve(_simulator_config(config), "127.0.0.1", port)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where the workspace goes.")] = Path(),
) -> None:
    """Write a workspace you can run at once: suites, evals and an ignore file.

    Example: harness init my-evals && harness run my-evals/suites/quickstart.yaml
    """
    from harness.starter import write_workspace  # noqa: PLC0415

    for path in write_workspace(folder):
        print(f"wrote {path}")
    print(f"\nnow: harness run {folder / 'suites' / 'quickstart.yaml'}")


@app.command("list")
def list_(
    what: Annotated[
        Literal["all", "providers", "graders", "targets"], typer.Argument(help="providers, graders or targets.")
    ] = "all",
    suites: Annotated[Path, typer.Option(help="The folder whose targets.yaml is read.")] = Path("suites"),
) -> None:
    """Show the providers, graders and targets a suite can name.

    Example: harness list graders
    """
    from harness import preview  # noqa: PLC0415

    _print(preview.listing(what, suites))


# ── Helpers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _overrides(
    limit: int | None,
    targets: list[str] | None,
    filters: list[str] | None,
    repeats: int | None,
    concurrency: int | None,
    settings: list[str] | None,
    budget: str | None,
) -> Any:
    from harness.suite import Overrides  # noqa: PLC0415
    from harness.suite.units import money  # noqa: PLC0415

    return Overrides(
        limit=limit,
        targets=tuple(targets or ()),
        filters=tuple(filters or ()),
        repeats=repeats,
        concurrency=concurrency,
        sampling=_sampling(settings or []),
        budget=None if budget is None else _unit(money, budget, "--budget"),
    )


def _sampling(settings: list[str]) -> dict[str, Any]:
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


def _unit(read: Any, text: str, option: str) -> Any:
    try:
        return read(text)
    except ValueError as wrong:
        raise UsageError(f"{option} {text}: {wrong}") from wrong


def _simulator_config(path: Path | None) -> Any:
    from harness.simulator import Config  # noqa: PLC0415

    if path is None:
        return Config()
    try:
        return Config.from_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as wrong:
        raise UsageError(f"{path}: {wrong}") from wrong


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _display() -> Any:
    from harness.display import Display, terminal  # noqa: PLC0415

    return Display(terminal())


def _conclude(outcome: Any) -> None:
    """Print the result table, say what stopped the run and how to go on, and end with the exit code."""
    from harness.display import conclusion  # noqa: PLC0415

    print(conclusion(outcome))
    if outcome.exit_code != ExitCode.OK:
        raise typer.Exit(outcome.exit_code)
