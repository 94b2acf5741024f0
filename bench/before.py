"""The build to which some bars are ratios: its workers run in the same rounds, on the same machine."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import released

COMMIT: Final = "7db1f975a14938039c35960babd193be771e81ef"
"""Before confirmation was made cheaper."""


@dataclass(frozen=True, slots=True)
class Build:
    """How its workers are started."""

    python: str
    app: str
    cwd: Path


@contextmanager
def before() -> Iterator[Build | None]:
    """Installed while it is needed; None, with a line that says so, where the history does not reach so far."""
    with tempfile.TemporaryDirectory(prefix="before-") as folder:
        directory = Path(folder)
        try:
            installed = released.install(directory, COMMIT, extra="")
        except ValueError as error:
            print(f"  nothing is compared with {COMMIT[:7]}: {error}", flush=True)
            yield None
        else:
            yield Build(str(installed.python), "worker", directory / "checkout")
