"""The command that serves the simulator: simulate."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.interrupts import interrupts_end_with
from harness.cli.output import print_lines
from harness.config.regular_files import read_regular_file
from harness.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from harness.simulator import Config


def simulate(
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65_535, help="The port on 127.0.0.1; 0 takes a free one.", metavar="N"
        ),
    ] = 8787,
    config: Annotated[
        Path | None, typer.Option(help="Latency, faults and seed, as a JSON file.", metavar="FILE")
    ] = None,
) -> None:
    """Run the simulator: a local server of the providers' APIs, for any client.

    \b
    Example:
      harness simulate --port 8787
    """
    from harness import simulator  # noqa: PLC0415

    settings = _read_simulator_config(config)
    with interrupts_end_with("", ExitCode.OK):  # which is how it is stopped
        simulator.serve(settings, "127.0.0.1", port, announce=_announce_address)


def _read_simulator_config(path: Path | None) -> Config:
    from harness.simulator import Config  # noqa: PLC0415

    if path is None:
        return Config()
    try:
        return Config.from_json(read_regular_file(path).decode())
    except OSError as wrong:
        raise UsageError(f"{path}: cannot be read: {wrong.strerror or wrong}") from wrong
    except UnicodeDecodeError as wrong:
        raise UsageError(f"{path}: is not UTF-8 at byte {wrong.start}; save it as UTF-8") from wrong


def _announce_address(url: str) -> None:
    """The address alone on standard output, so that a script can read it; the rest for a person."""
    print_lines([url])
    hint = f"OpenAI: {url}/v1 · Workers AI: {url}/client/v4/accounts/any · Ctrl-C to stop"
    with suppress(BrokenPipeError):
        print(hint, file=sys.stderr, flush=True)
