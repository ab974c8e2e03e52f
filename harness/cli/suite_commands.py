"""The commands about suites: validate, schema, init, list."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer

from harness.cli.options import SuitePath
from harness.cli.output import print_lines
from harness.errors import UsageError


def validate(
    suite: SuitePath,
    references: Annotated[
        bool,
        typer.Option(
            "--references", help="Also check that each expected answer passes its own graders."
        ),
    ] = False,
    gold: Annotated[bool, typer.Option("--gold", hidden=True)] = False,
) -> None:
    """Check a suite and count its requests, sending nothing.

    \b
    Example:
      harness validate suites/quickstart.yaml --references
    """
    from harness.app import preview  # noqa: PLC0415

    print_lines(preview.validate_suite(suite, references=references or gold))


def schema() -> None:
    """Print the JSON Schema of suites, for editors.

    \b
    Example:
      harness schema > suites/suite.schema.json
    """
    from harness.suite import schema_json  # noqa: PLC0415

    print_lines([schema_json().removesuffix("\n")])


def init(
    folder: Annotated[
        Path, typer.Argument(help="The folder to create it in.", metavar="FOLDER")
    ] = Path(),
) -> None:
    """Create a workspace with example suites and evals that run as they are.

    \b
    Example:
      harness init my-evals && harness run my-evals/suites/quickstart.yaml
    """
    from harness.app.init import write_workspace  # noqa: PLC0415

    print_lines(f"wrote {path}" for path in write_workspace(folder))
    print_lines(["", f"next: harness run {quote(str(folder / 'suites' / 'quickstart.yaml'))}"])


def list_(
    what: Annotated[
        Literal["all", "providers", "graders", "targets"],
        typer.Argument(help="What to show.", metavar="WHAT"),
    ] = "all",
    suites: Annotated[
        Path | None,
        typer.Option(
            help="The folder whose targets.yaml is read. Default: suites.", metavar="FOLDER"
        ),
    ] = None,
) -> None:
    """List the providers, graders and targets that a suite can name.

    \b
    Example:
      harness list graders
    """
    from harness.app.listing import list_names  # noqa: PLC0415

    if suites is not None and not suites.is_dir():
        raise UsageError(f"--suites {suites}: there is no such folder")
    print_lines(list_names(what, suites or Path("suites")))
