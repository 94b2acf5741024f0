"""What runs the examples in other languages, if it is here; what is not is named, as the reason of a skipped test."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

NODE = ROOT / "examples" / "node"


def node(script: str, directory: Path, source: Path = NODE) -> list[str]:
    """A script of Node in the folder `source`, beside the packages that it needs, as the folder's lock has them."""
    return [tool("node"), str(_installed(directory, source) / script)]


def php(script: str) -> list[str]:
    """A script of PHP, which needs an extension."""
    program = tool("php")
    if "redis" not in subprocess.run([program, "-m"], capture_output=True, text=True, check=True).stdout.split():
        pytest.skip("PHP has no extension redis here (Debian: php-redis)")
    return [program, str(ROOT / "examples" / "php" / script)]


def tool(name: str) -> str:
    """Where a program is."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not here")
    return path


@cache
def _installed(directory: Path, source: Path) -> Path:
    """The packages, and the scripts beside them."""
    for path in source.iterdir():
        if path.is_file():
            shutil.copy(path, directory)
    command = [tool("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=50, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not install what {source.name} needs in 50 s")
    if done.returncode:
        pytest.skip(f"npm could not install what {source.name} needs: {done.stderr[:200]}")
    return directory
