"""The last release, installed beside this checkout: built of its commit in our own history, without the network."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

from tests.support.checkout import ROOT
from tests.support.installed import Installed, build_wheel

LAST: Final = "92c47420565d5a218b3fc12d9b368c1819f0cb02"
"""The commit of release 1.0.0. A tag may be missing from a clone; a commit is, only if its history was cut short."""


def install(directory: Path, commit: str = LAST, extra: str = "worker") -> Installed:
    """An environment with that commit and its `extra`; raises ValueError where the history does not reach so far."""
    source = directory / "checkout"
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        why = archive.stderr.decode().strip()
        raise ValueError(f"commit {commit}, the last release, is not in this clone (git fetch --unshallow): {why}")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(source, filter="data")
    (wheel_in := directory / "wheel").mkdir()
    return Installed(build_wheel(wheel_in, source), directory / "environment", extra)
