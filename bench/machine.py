"""Where and of what code was this measured? Date, machine, versions and the git revision; no path, no host name."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from redis import Redis

from bulk_cancel.worker.simulator.embedded import EmbeddedRedis

ROOT: Final = Path(__file__).resolve().parents[1]
OURSELVES: Final = (":!bench/README.md", ":!bench/results", ":!bench/pictures")
"""What a bench writes: the next part of the same run still measures the same code."""


def machine() -> dict[str, str]:
    """Date, revision, processor, cores, system, Python and Redis, for the head of a report."""
    with EmbeddedRedis() as server, Redis.from_url(server.url) as redis:
        redis_version = str(redis.info("server")["redis_version"])
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": revision(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Redis": redis_version,
    }


def revision(root: Path = ROOT) -> str:
    """The short hash of the commit, with "+changes" if the work tree differs from it; "unknown" without git."""
    try:
        name = _git(root, "rev-parse", "--short", "HEAD")
        return name + "+changes" * bool(_git(root, "status", "--porcelain", "--", ".", *OURSELVES))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(root: Path, *words: str) -> str:
    command = [shutil.which("git") or "git", "-C", str(root), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
