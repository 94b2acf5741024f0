"""What does `make bench` run? Every measurement but the long one of the window.

Each part refreshes its own tables and pictures in the README, and the bars.
"""

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Final

PARTS: Final = ("window_simulation", "first_byte", "cost", "listening", "curves", "shards", "championship")


def main(arguments: Sequence[str] | None = None) -> None:
    """Part by part; each is a program of its own with more options."""
    parts = ", ".join(PARTS)
    more = f"The parts ({parts}) take more options: python -m bench.<part> --help. By itself runs bench.window_use."
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, epilog=more)
    parser.add_argument("--tiny", action="store_true", help="tries everything in small, keeps nothing")
    told = parser.parse_args(arguments)
    for name in PARTS:
        print(f"{name}:", flush=True)
        import_module(f"bench.{name}").main(["--tiny"] if told.tiny else [])


if __name__ == "__main__":
    main()
