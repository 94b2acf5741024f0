"""The limiter's rules: the times that the proof needs, and the earliest end that limits allow. Pure."""

import math
from dataclasses import dataclass
from typing import Final

from bulk_cancel.worker.okx.limits import Limits

WRITE_WITHIN_S: Final = 1.0
"""A job that could not be written to the wire this long after its claim was asked for is given back unsent."""

GUARD_US: Final = 1_000
"""Added to every window: our clock may run faster than the exchange's by 500 ppm, as much as NTP slews."""

PER_CALL_S: Final = 0.033
"""What one call takes at the exchange's rate for reading, 60 calls in 2 s."""


def reading_pause_s(calls: int, *, least_s: float) -> float:
    """Seconds to wait after so many reading calls in a row: as long as they take; half of the rate is for others."""
    return max(least_s, calls * PER_CALL_S)


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of the proof in µs, made from the window and the HTTP timeout, both in seconds."""

    window_s: float
    timeout_s: float

    @property
    def window_us(self) -> int:
        """How long a settled slot counts."""
        return _us(self.window_s) + GUARD_US

    @property
    def claim_us(self) -> int:
        """How long a claim keeps its jobs: written within 1 s, answered within the timeout."""
        return _us(WRITE_WITHIN_S + self.timeout_s)

    @property
    def open_us(self) -> int:
        """The latest instant after its grant at which an unanswered slot's bytes may still arrive."""
        return _us(WRITE_WITHIN_S + 2 * self.timeout_s)

    @property
    def blackout_us(self) -> int:
        """How long nobody sends after a restart of Redis, which may have forgotten slots."""
        return self.open_us + self.window_us


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """What stands in a lane: jobs `queued`, slots used of each meter, and how long it is held back."""

    queued: int
    single_used: int
    batch_used: int
    held_s: float


def earliest_s(load: LaneLoad, limits: Limits, batch_size: int, window_s: float) -> float:
    """Seconds until the limits allow the lane's last queued job to be sent (0: at once)."""
    batch = limits.batch if batch_size > 1 else 0
    free = max(0, limits.single - load.single_used) + max(0, batch - load.batch_used)
    windows = math.ceil(max(0, load.queued - free) / (limits.single + batch))
    return max(load.held_s, windows * window_s)
