"""How much CPU time did some processes use, and what machine is this?"""

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import psutil
from redis import Redis

from worker.embedded import EmbeddedRedis


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds, user and system, of the processes and all their children so far."""
    return sum(_used(process) for pid in pids for process in _family(pid))


def machine() -> dict[str, str]:
    """Date, processor, cores, system, Python and Redis, for the head of a report."""
    with EmbeddedRedis() as server, Redis.from_url(server.url) as redis:
        redis_version = str(redis.info("server")["redis_version"])
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Redis": redis_version,
    }


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
