"""How much CPU time did some processes use?"""

from collections.abc import Iterable

import psutil


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds, user and system, of the processes and all their children so far."""
    return sum(_used(process) for pid in pids for process in _family(pid))


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
