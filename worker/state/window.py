"""What are the limiter's rules? Limits, the times that the proof needs, and the earliest end they allow; no I/O."""

import math
from dataclasses import dataclass
from typing import Final, Self

WRITE_WITHIN_S: Final = 1.0
"""A job that could not be written to the wire this long after its claim was asked for is given back unsent."""

GUARD_US: Final = 1_000
"""Added to every window: our clock may run faster than the exchange's by 500 ppm, as much as NTP slews."""

BATCH_SIZE: Final = 20
"""Orders that the exchange takes in one `cancel-batch-orders` request."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a lane may send in one window: `single` requests, and `batch` orders in batch requests."""

    single: int
    batch: int

    def scaled(self, share: float) -> Self:
        """The part of the limits that is ours, at least one request."""
        return type(self)(max(1, math.floor(self.single * share)), math.floor(self.batch * share))


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Reading calls in one window: `pending` and `history` for a user, `order` for a lane."""

    pending: int = 60
    history: int = 40
    order: int = 60

    def scaled(self, share: float) -> Self:
        """The part of the limits that is ours, at least one call each."""
        return type(self)(*(max(1, math.floor(limit * share)) for limit in (self.pending, self.history, self.order)))


PER_CALL_S: Final = 0.033


def reading_pause_s(calls: int, *, least_s: float) -> float:
    """How long to wait after so many reading calls in a row: half of the allowed rate is left to others."""
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
    def hold_us(self) -> int:
        """How long a claim holds its jobs: written within 1 s, answered within the timeout."""
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
