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
    """Check a suite and count its requests without sending any.

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
        Path | None,
        typer.Argument(help="The folder to create it in. Default: this one.", metavar="FOLDER"),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Write a suite for the rows of this file instead.", metavar="FILE"
        ),
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Write a suite from this template instead.", metavar="NAME")
    ] = None,
    templates: Annotated[bool, typer.Option("--list", help="List the templates.")] = False,
) -> None:
    """Create a workspace with runnable example suites and evals.

    \b
    Example:
      harness init my-evals && harness run my-evals/suites/quickstart.yaml
      harness init --from questions.csv
      harness init --template rag my-evals
    """
    from harness.app.init import list_templates, write_template, write_workspace  # noqa: PLC0415

    if sum((table is not None, template is not None, templates)) > 1:
        raise UsageError("--from, --template and --list cannot be combined; give one of them")
    place = folder or Path()
    if templates:
        print_lines([*list_templates(), "", "write one with: harness init --template NAME FOLDER"])
        return
    if table is not None:
        from harness.app.suite_from_table import write_suite_for  # noqa: PLC0415

        written = [write_suite_for(table, folder)]
        suite = written[0]
    elif template is not None:
        written = list(write_template(template, place))
        suite = written[0]
    else:
        written, suite = list(write_workspace(place)), place / "suites" / "quickstart.yaml"
    print_lines(f"wrote {path}" for path in written)
    print_lines(["", f"next: harness run {quote(str(suite))}"])


def list_(
    what: Annotated[
        Literal["all", "providers", "graders", "targets"],
        typer.Argument(help="What to list.", metavar="WHAT"),
    ] = "all",
    suites: Annotated[
        Path | None,
        typer.Option(
            help="The folder that contains targets.yaml. Default: suites.", metavar="FOLDER"
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
