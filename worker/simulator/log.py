"""The arrival log: what arrived when, and whether it was ever too fast."""

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bulk_cancel.worker.simulator.meters import max_in_window

CANCELS = frozenset({"cancel-order", "cancel-batch-orders", "cancel-algos", "cancel-advance-algos"})


class Arrival(NamedTuple):
    """One request, stamped when it arrived (µs on the simulator's one clock).

    `meters` and `weights` say what it was charged; `ordIds` are exchange ids where the order is known, else
    the id given; `status`, `code` and `sCodes` are those of the answer meant, its items in its own order (a
    fault's own answer has no `code` here), `fault` names the action of a fault that hit the request.
    """

    at_us: int
    uid: str
    endpoint: str
    meters: tuple[str, ...]
    weights: tuple[int, ...]
    instIds: tuple[str, ...]
    ordIds: tuple[str, ...]
    refused: bool
    status: int
    code: str
    sCodes: tuple[str, ...]
    fault: str
    connection: int


@dataclass(slots=True)
class Track:
    """The arrivals of one meter key, as plain numbers."""

    times_us: "array[int]" = field(default_factory=lambda: array("q"))
    weights: "array[int]" = field(default_factory=lambda: array("l"))
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class MeterSummary:
    """What one meter saw: requests, their weight, refusals, and the worst sliding window (by weight)."""

    requests: int
    weight: int
    refusals: int
    max_in_window: int
    first_us: int
    last_us: int
    per_s: float


class ArrivalLog:
    """Every arrival in order of time; beyond `limit` the oldest rows go, the meters' numbers stay."""

    def __init__(self, limit: int) -> None:
        self.rows: deque[Arrival] = deque(maxlen=limit)
        self.tracks: dict[str, Track] = {}
        self.cancels: Counter[str] = Counter()
        self.total = 0

    def add(self, arrival: Arrival) -> None:
        """Keep one arrival; times must not go backwards."""
        self.total += 1
        self.rows.append(arrival)
        for meter, weight in zip(arrival.meters, arrival.weights, strict=True):
            track = self.tracks.get(meter)
            if track is None:
                track = self.tracks[meter] = Track()
            track.times_us.append(arrival.at_us)
            track.weights.append(weight)
            track.refusals += arrival.refused
        if arrival.endpoint in CANCELS:
            self.cancels.update(arrival.ordIds)

    def summary(self, window_us: Callable[[str], int]) -> dict[str, MeterSummary]:
        """Per meter key what arrived, with the strict maximum over every sliding window (its length by key)."""
        return {key: _summarise(track, window_us(key)) for key, track in sorted(self.tracks.items())}

    def cancels_per_order(self) -> dict[int, int]:
        """How many orders were met by 1, 2, 3 … cancels."""
        return dict(sorted(Counter(self.cancels.values()).items()))

    def select(self, filters: "Filters") -> Iterator[Arrival]:
        """The arrivals that match, oldest first, as of now."""
        return (row for row in tuple(self.rows) if filters.match(row))

    def reset(self) -> None:
        """Forget all arrivals."""
        self.rows.clear()
        self.tracks.clear()
        self.cancels.clear()
        self.total = 0


@dataclass(frozen=True, slots=True)
class Filters:
    """Which arrivals are wanted; empty fields match everything, `since_us` is exclusive."""

    uid: str = ""
    endpoint: str = ""
    meter: str = ""
    instId: str = ""
    ordId: str = ""
    code: str = ""
    refused: bool | None = None
    since_us: int = 0

    def match(self, row: Arrival) -> bool:
        """Whether the arrival passes every filter."""
        return (
            row.at_us > self.since_us
            and self.uid in {"", row.uid}
            and self.endpoint in {"", row.endpoint}
            and (not self.meter or self.meter in row.meters)
            and (not self.instId or self.instId in row.instIds)
            and (not self.ordId or self.ordId in row.ordIds)
            and (not self.code or self.code == row.code or self.code in row.sCodes)
            and self.refused in {None, row.refused}
        )


def _summarise(track: Track, window_us: int) -> MeterSummary:
    times, weights = track.times_us, track.weights
    span_s = (times[-1] - times[0]) / 1e6
    return MeterSummary(
        requests=len(times),
        weight=sum(weights),
        refusals=track.refusals,
        max_in_window=max_in_window(times, window_us, weights),
        first_us=times[0],
        last_us=times[-1],
        per_s=round(sum(weights) / span_s, 3) if span_s else 0.0,
    )
