"""The command line: the commands and their help, in the order `harness --help` lists them.

Everything heavy is imported inside the command that needs it, so that `harness --help` is instant.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from harness import __version__
from harness.cli.output import print_lines
from harness.cli.run_commands import report, resume, run, show
from harness.cli.simulate_command import simulate
from harness.cli.suite_commands import init, list_, schema, validate

EXIT_CODES = """\b
First steps: harness init my-evals && harness run my-evals/suites/quickstart.yaml

\b
Exit codes:
  0    every gate holds, or there are none
  1    a gate failed
  2    invalid usage or suite, or a gate has no data
  3    a gate is inconclusive, with `strict: true` in the suite
  4    infrastructure: too many errors, or a target, the network or the disk failed
  5    the budget was exhausted
  70   a bug
  130  interrupted"""


_SYNONYMS = {
    word: command
    for command, words in {
        "run": "eval evaluate test exec execute start bench benchmark",
        "resume": "continue restart retry",
        "report": "compare diff results summary view",
        "show": "inspect print case cat",
        "validate": "check lint verify plan estimate",
        "simulate": "serve simulator mock",
        "init": "new create setup quickstart",
        "list": "ls providers graders targets models",
    }.items()
    for word in words.split()
}
"""What other tools call our commands."""


class Commands(TyperGroup):
    """The commands; typer is kept from ending some of what they raise with codes of its own."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of that name. Raises UsageError, with the one that is probably meant."""
        if args and self.get_command(ctx, args[0]) is None and (meant := _SYNONYMS.get(args[0])):
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{meant}'?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Carry out the command. Raises `UnhandledError` for what typer would take for a wish to
        end."""
        try:
            return super().invoke(ctx)
        except (EOFError, OSError) as raised:
            raise UnhandledError from raised


class UnhandledError(Exception):
    """What a command raised and typer shall not handle, its cause."""


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


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Evaluate and benchmark language models from a YAML suite."""
    if version:
        print_lines([f"evalharness {__version__}"])
        raise typer.Exit


for _command in (run, resume, report, show, validate, schema, simulate, init):
    app.command()(_command)
app.command("list")(list_)
