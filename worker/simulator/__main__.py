"""Starts the simulated exchange for another program; its configuration comes by standard input.

The first line of standard input is a `Config` as JSON; the end of standard input ends the simulator, so that
it never outlives the program that started it.
"""

import sys

from pydantic import TypeAdapter

from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.serve import serve


def main() -> None:
    """Read the configuration, say where it listens, serve."""
    config = TypeAdapter(Config).validate_json(sys.stdin.buffer.readline())
    serve(config, until_stdin_ends=True)


if __name__ == "__main__":
    main()
