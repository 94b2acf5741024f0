"""Waits for what must become true, whatever else the machine is busy with."""

import time
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 30.0
"""Long on purpose: a promise about time is tested by what was seen, not by giving up early."""


def comes(true: Callable[[], object], timeout_s: float = PATIENCE_S) -> bool:
    """Whether `true()` came to hold in time, as soon as it does."""
    ends = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > ends:
            return False
        time.sleep(0.005)
    return True


def until(true: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Returns as soon as `true()` holds; an AssertionError when it does not in time."""
    if not comes(true, timeout_s):
        raise AssertionError(f"did not come true in {timeout_s} s")
