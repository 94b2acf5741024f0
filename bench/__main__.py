"""What does `make bench` run? Every measurement but the long one of the window.

Each part refreshes its own tables and pictures in the README.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Final

from bench import championship, cost, curves, first_byte, window_simulation

Part = Callable[[Sequence[str]], None]

PARTS: Final[dict[str, Part]] = {
    "window_simulation": window_simulation.main,
    "first_byte": first_byte.main,
    "cost": cost.main,
    "curves": curves.main,
    "championship": championship.main,
}


def main(arguments: Sequence[str]) -> None:
    """`--tiny` tries everything in small, keeping nothing."""
    tiny = "--tiny" in arguments
    if set(arguments) - {"--tiny"}:
        raise SystemExit("usage: python -m bench [--tiny]; the parts take more options: python -m bench.<part> --help")
    for name, part in PARTS.items():
        print(f"{name}:", flush=True)
        part(_told(name, tiny=tiny))


def _told(name: str, *, tiny: bool) -> list[str]:
    if name == "window_simulation":
        return [] if tiny else ["--keep"]
    if name == "championship" and tiny:
        return ["--tiny", "--rounds", "1", "--cap", "10"]
    return ["--tiny"] if tiny else []


if __name__ == "__main__":
    main(sys.argv[1:])
