"""Our wheel, installed into environments of its own: what `pip install 'bulk-cancel[extra]'` brings, and nothing else.

The network is not needed: other distributions are linked from the environment that runs the tests, as far as the
wheel's own metadata and theirs require them.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.checkout import ROOT

OURS: Final = "bulk-cancel"
_PACKED: Final = ("pyproject.toml", "README.md", "LICENSE", "tasks", "worker")
_PIP: Final = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def build_wheel(directory: Path, checkout: Path = ROOT) -> Path:
    """The wheel of a checkout, built in `directory` with the locked build tool; the checkout stays as it is."""
    source = directory / "source"
    source.mkdir()
    for name in _PACKED:
        if (checkout / name).is_dir():
            shutil.copytree(checkout / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(checkout / name, source)
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(directory))
    subprocess.run([*_PIP, "wheel", *options, str(source)], check=True)
    [wheel] = directory.glob("*.whl")
    return wheel


class Installed:
    """An environment in `directory` with the wheel and what its `extra` requires; without one it is a plain install."""

    def __init__(self, wheel: Path, directory: Path, extra: str) -> None:
        self.python = directory / "bin" / "python"
        self.packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(directory)}))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
        install = [*_PIP, "--python", str(self.python), "install", "--no-deps", "--no-index", str(wheel)]
        subprocess.run(install, check=True)
        [ours] = self.packages.glob("bulk_cancel-*.dist-info")
        for name in _required(Distribution.at(ours), extra):
            self._link(distribution(name))

    def run(self, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs Python of this environment to its end."""
        return subprocess.run(
            [self.python, *arguments],
            cwd=cwd, env=self.environment(env or {}), capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip

    def environment(self, added: Mapping[str, str]) -> dict[str, str]:
        """This process's variables, without those by which more is found than is installed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "REDIS_SERVER"))}
        return kept | dict(added)

    def script(self, name: str) -> str:
        """The path of a program that the wheel installs."""
        return str(self.python.with_name(name))

    def _link(self, found: Distribution) -> None:
        tops = {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
        for top in tops:
            (self.packages / top).symlink_to(str(found.locate_file(top)))


def _required(ours: Distribution, extra: str) -> Iterator[str]:
    """Every distribution that `ours[extra]` needs, directly or not."""
    todo, seen = [(OURS, ""), (OURS, extra)], set[tuple[str, str]]()
    while todo:
        name, wanted = each = todo.pop()
        if each in seen:
            continue
        seen.add(each)
        for line in (ours if name == OURS else distribution(name)).requires or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": wanted}):
                todo += [(canonicalize_name(need.name), other) for other in ("", *need.extras)]
    yield from {name for name, _ in seen} - {OURS}
