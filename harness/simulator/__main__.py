"""`python -m harness.simulator`: a simulator of its own, or the child process that
`server.process.start` starts."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from harness.errors import UsageError
from harness.simulator.server.config import Config
from harness.simulator.server.serve import serve


def main() -> int:
    """Serve until interrupted; the first line written is the base URL."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.simulator", description="Serve simulated model APIs."
    )
    parser.add_argument(
        "--config", default="{}", help="configuration as JSON (see docs/simulator.md)"
    )
    parser.add_argument(
        "--stdin",
        action="store_true",
        help="read the configuration from the first line of standard input; end when that ends",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    options = parser.parse_args()
    try:
        told = sys.stdin.readline() if options.stdin else options.config
        if not told:  # the parent is gone already
            return 0
        config = Config.from_json(told)
        serve(
            config,
            options.host,
            options.port,
            announce=partial(print, flush=True),
            until_eof=options.stdin,
        )
    except BrokenPipeError:  # nobody reads the address
        return 0
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
