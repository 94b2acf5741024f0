"""What the exchange's clock shows: each address has one, measured when it is needed and counted on from there.

Thread-safe. What asks raises the errors of errors.py.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from bulk_cancel.worker.okx.errors import OutcomeUnknown
from bulk_cancel.worker.okx.span import Span

MAX_OFFSET_S: Final = 86_400.0
"""A clock further off than a day is a wrong answer: whoever signed by it would never be let in again."""

FRESH_S: Final = 30.0
"""For so long the exchange's clock is counted on from its last measurement."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What the exchange's clock showed (unix ms) in the answer to what was `asked`; read `at` (time.monotonic(), s)."""

    server_ms: int
    asked: float
    at: float


class Clock:
    """The clocks of all addresses. `tell_ms` asks one (unix ms); `connect` makes that no more than a round trip."""

    def __init__(self, *, connect: Callable[[str], object], tell_ms: Callable[[str], int]) -> None:
        self._connect = connect
        self._tell_ms = tell_ms
        self._offsets: dict[str, float] = {}
        self._told: dict[str, _Told] = {}
        self._corrected_at: dict[str, float] = {}
        self._correcting: dict[str, Lock] = {}

    def measure(self, base_url: str) -> float:
        """Measure, keep and return the exchange's clock minus ours, in seconds (± half a round trip)."""
        self._connect(base_url)
        asked, asked_at = time.time(), time.monotonic()
        server_ms = self._tell_ms(base_url)
        told = _Told(server_ms, asked_at, time.monotonic())
        offset_s = server_ms / 1000 - (asked + time.time()) / 2
        if abs(offset_s) > MAX_OFFSET_S:
            raise OutcomeUnknown(f"the clock at {base_url} would be off by {offset_s:.0f} s")
        self._offsets[base_url], self._told[base_url] = offset_s, told
        return offset_s

    def correct(self, base_url: str, *, signed_at: float) -> None:
        """Measure because a timestamp of `signed_at` (monotonic) was refused, unless it was tried since then.

        Many calls are refused at once; one of them asks, the others wait for it.
        """
        with self._correcting.setdefault(base_url, Lock()):
            if self._corrected_at.get(base_url, float("-inf")) > signed_at:
                return
            try:
                self.measure(base_url)
            finally:
                self._corrected_at[base_url] = time.monotonic()

    def offset_s(self, base_url: str) -> float:
        """The offset measured last, 0 if never; it corrects every signed timestamp."""
        return self._offsets.get(base_url, 0.0)

    def time_s(self, base_url: str) -> float:
        """The exchange's clock as far as it was measured, unix seconds."""
        return time.time() + self.offset_s(base_url)

    def time_ms(self, base_url: str) -> float:
        """The exchange's clock now, unix ms: never ahead of it, and behind by less than a round trip.

        Told at most 30 s ago and counted on by the monotonic clock, so this machine's wall clock plays no part. Asks
        when nothing so fresh is known; raises the errors of errors.py when it is not told.
        """
        told = self._fresh(base_url)
        return told.server_ms + (time.monotonic() - told.at) * 1000

    def span(self, base_url: str, at: float) -> Span:
        """As `time_ms`, at the time.monotonic() instant `at`: the bounds are one round trip apart."""
        told = self._fresh(base_url)
        latest_ms = told.server_ms + 1 + (at - told.asked) * 1000  # the clock is told in whole ms
        return Span(told.server_ms + (at - told.at) * 1000, latest_ms)

    def _fresh(self, base_url: str) -> _Told:
        with self._correcting.setdefault(base_url, Lock()):
            told = self._told.get(base_url)
            if told is None or time.monotonic() - told.at > FRESH_S:
                self.measure(base_url)
                told = self._told[base_url]
        return told
