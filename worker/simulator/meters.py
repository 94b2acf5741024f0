"""Meters that refuse arrivals for speed: strict sliding windows, counted at arrival.

Pure: the caller names the time. An arrival at t is refused if the weights of the arrivals in (t - window, t]
and its own exceed the limit.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple


@dataclass(frozen=True, slots=True)
class Limits:
    """Weight allowed per window and meter, None: unmetered; `count_refused`: refused calls use room, too.

    `switch` (cancel-all-after) has a window of its own; `algo` counts the algo orders of a lane that are cancelled.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    window_ms: int = 2_000
    single: int | None = 60
    batch: int | None = 300
    order: int | None = 60
    pending: int | None = 60
    history: int | None = 40
    config: int | None = 5
    time: int | None = 10
    place: int | None = None
    switch: int | None = 1
    switch_window_ms: int = 1_000
    algo: int | None = 20
    algo_pending: int | None = 20
    algo_order: int | None = 20
    algo_history: int | None = 20
    sprd_pending: int | None = 10
    sprd_mass: int | None = 10
    sprd_cancel: int | None = 20
    rfqs: int | None = 2
    quotes: int | None = 2
    rfq_cancel: int | None = 2
    quote_cancel: int | None = 2
    grid: int | None = 20
    grid_details: int | None = 20
    grid_stop: int | None = 20
    dca: int | None = 20
    dca_stop: int | None = 20
    recurring: int | None = 20
    recurring_stop: int | None = 20
    signal: int | None = 20
    signal_stop: int | None = 20
    copy: int | None = 5
    copy_stop: int | None = 5
    count_refused: bool = False

    def of(self, meter: str) -> int | None:
        """The limit of the meter with this name."""
        limit: int | None = getattr(self, meter)
        return limit

    def window_us(self, meter: str) -> int:
        """The window of the meter with this name, or with this key."""
        own = meter.partition(":")[0] == "switch"
        return (self.switch_window_ms if own else self.window_ms) * 1_000


class Charge(NamedTuple):
    """What one arrival weighs on one meter: meter name, who and what it is counted for, weight."""

    meter: str
    scope: str
    weight: int

    @property
    def key(self) -> str:
        """The meter's key in log and summary, e.g. `single:1001:BTC-USDT`."""
        return f"{self.meter}:{self.scope}"


class Window:
    """The arrivals of one meter that still count."""

    __slots__ = ("_arrivals", "_used")

    def __init__(self) -> None:
        self._arrivals: deque[tuple[int, int]] = deque()
        self._used = 0

    def used(self, now_us: int, window_us: int) -> int:
        """Weight of the arrivals in (now - window, now]."""
        arrivals = self._arrivals
        while arrivals and arrivals[0][0] <= now_us - window_us:
            self._used -= arrivals.popleft()[1]
        return self._used

    def add(self, now_us: int, weight: int) -> None:
        """Count an arrival; times must not go backwards."""
        self._arrivals.append((now_us, weight))
        self._used += weight


class Meters:
    """All windows of the exchange under one set of limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._windows: dict[tuple[str, str], Window] = {}

    def admit(self, charges: Iterable[Charge], now_us: int) -> bool:
        """Count an arrival on all its meters at once; False if one of them refuses it."""
        metered = [(charge, limit) for charge in charges if (limit := self.limits.of(charge.meter)) is not None]
        windows = [self._window(charge) for charge, _ in metered]
        fits = all(
            window.used(now_us, self.limits.window_us(charge.meter)) + charge.weight <= limit
            for window, (charge, limit) in zip(windows, metered, strict=True)
        )
        if fits or self.limits.count_refused:
            for window, (charge, _) in zip(windows, metered, strict=True):
                window.add(now_us, charge.weight)
        return fits

    def reset(self) -> None:
        """Forget every arrival."""
        self._windows.clear()

    def _window(self, charge: Charge) -> Window:
        return self._windows.setdefault((charge.meter, charge.scope), Window())


def max_in_window(times_us: Sequence[int], window_us: int, weights: Sequence[int] | None = None) -> int:
    """The greatest weight of arrivals with last - first < window; times ascending, weights 1 by default."""
    worst = used = first = 0
    for last, now_us in enumerate(times_us):
        used += weights[last] if weights else 1
        while now_us - times_us[first] >= window_us:
            used -= weights[first] if weights else 1
            first += 1
        worst = max(worst, used)
    return worst
