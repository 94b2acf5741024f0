"""What did a fault do to the orders? The simulator's book and log and Redis tell; workers are not asked."""

import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self, cast
from weakref import WeakKeyDictionary

from bulk_cancel.worker.simulator.log import CANCELS, Arrival
from bulk_cancel.worker.simulator.meters import max_in_window
from bulk_cancel.worker.state.statuses import row_ended
from tests.support.rig import Rig

STATES: Final = {
    "accepted": {"canceled", "filled", ""},
    "canceled": {"canceled"},
    "filled": {"filled"},
    "gone": {""},
}
"""Where the exchange must have an order ("": it knows none) whose outcome says that it is off the book."""


_SEEN: Final[WeakKeyDictionary[Rig, set[str]]] = WeakKeyDictionary()
"""Batches of each rig that a witness has told of."""


def long_form() -> bool:
    """Whether the long form was asked for: CHAOS=long, as `make chaos` does."""
    form = os.environ.get("CHAOS", "short")
    if form not in {"short", "long"}:
        raise ValueError(f"CHAOS should be short or long, not {form}")
    return form == "long"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault's line of the table: all counts of things, `resume_s` and `took_s` in seconds.

    `lost`: orders without an outcome. `wrong`: outcomes that the book contradicts, or that the outcome stream does not
    hold exactly once for the job's generation. `exceeded`: meters with a window above their limit at arrival.
    `refusals`: requests that a meter refused. `most_sends`: cancels of the order that met most. `resume_s`: the longest
    time from the end of a fault to the next cancel's arrival or outcome; None when no fault ended with work left.
    """

    fault: str
    orders: int
    faults: int
    lost: int
    wrong: int
    exceeded: int
    refusals: int
    most_sends: int
    resume_s: float | None
    took_s: float


class Witness:
    """Counts the faults of one test and judges its rig while that still runs; `judge` must be called."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.faults = 0
        self.finding: Finding | None = None
        self._ends_us: list[int] = []
        self._began = time.monotonic()

    def injected(self, count: int = 1) -> Self:
        """So many more kills or outages began."""
        self.faults += count
        return self

    def ended(self) -> None:
        """A fault ended now: from here the time to resume is taken."""
        self._ends_us.append(time.time_ns() // 1000)

    def judge(
        self,
        rig: Rig,
        *,
        refusals: int = 0,
        foreign: Collection[str] = (),
        batches: int | None = None,
        by_outcome: bool = False,
    ) -> Finding:
        """Asserts that nothing was lost, wrong or too fast, over all batches; appends the line to CHAOS_REPORT.

        `refusals` are those that the fault itself made; `foreign` are ordIds that another program cancels on our
        meters; `batches` is how many must be there; `by_outcome`: work resumed with the next outcome, not the next
        arrival. `orders` in the line are those that no earlier witness of this rig has seen.
        """
        names = _batches(rig)
        new = set(names) - _SEEN.setdefault(rig, set())
        _SEEN[rig] |= new
        finding = replace(
            self._find(rig, names, _Scope(foreign=frozenset(foreign), by_outcome=by_outcome)),
            orders=len({job for job, _ in _rows(rig, new)}),
        )
        self.finding = finding
        _append(finding)
        _check_zeros(finding, refusals, [row for row in rig.exchange.control.log() if row.refused][:5])
        assert batches is None or len(names) == batches
        return finding

    def part(self, rig: Rig, fault: str, batch: str, uid: str) -> None:
        """The line of one of many faults that struck at once, each a batch and a User ID of its own; asserted alike."""
        if "CHAOS_REPORT" not in os.environ:
            return  # `judge` asserts the same of all of them
        finding = self._find(rig, [batch], _Scope(uid=uid))
        finding = replace(finding, fault=f"{self.fault}: {fault}", faults=1)
        _append(finding)
        _check_zeros(finding, 0, [])

    def _find(self, rig: Rig, names: list[str], scope: "_Scope") -> Finding:
        rows = list(_rows(rig, names))
        meters = {key: each for key, each in rig.exchange.control.summary().meters.items() if scope.covers(key)}
        sends = Counter(order for row in _cancels(rig, scope.uid) for order in row.ordIds)
        return Finding(
            fault=self.fault,
            orders=len({job for job, _ in rows}),
            faults=self.faults,
            lost=_lost(rig, names, rows),
            wrong=_wrong(rig, rows),
            exceeded=_exceeded(rig, scope),
            refusals=sum(each.refusals for each in meters.values()),
            most_sends=max(sends.values(), default=0),
            resume_s=self._resume_s(rig, scope, {job for job, _ in rows}),
            took_s=round(time.monotonic() - self._began, 1),
        )

    def _resume_s(self, rig: Rig, scope: "_Scope", jobs: AbstractSet[str]) -> float | None:
        """A fault that ended is over when the first thing happens after it; the slowest of them counts."""
        if not self._ends_us:
            return None
        ended = [int(entry["finished"]) for entry in outcomes(rig) if entry["order"] in jobs]
        signs = sorted([*ended, *(() if scope.by_outcome else (row.at_us for row in _cancels(rig, scope.uid)))])
        waits = (next((sign - end for sign in signs if sign > end), None) for end in self._ends_us)
        known = [wait / 1e6 for wait in waits if wait is not None]
        return round(max(known), 2) if known else None


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a line is about: all, or one User ID; whose requests count, and what shows that work goes on."""

    uid: str = ""
    foreign: frozenset[str] = frozenset()
    by_outcome: bool = False

    def covers(self, meter: str) -> bool:
        """Whether the meter (`single:1001:BTC-USDT`) is this user's."""
        return self.uid in {"", meter.split(":")[1]}


def _check_zeros(finding: Finding, refusals: int, refused: Sequence[Arrival]) -> None:
    zeros = (finding.lost, finding.wrong, finding.exceeded, finding.refusals)
    assert zeros == (0, 0, 0, refusals), (finding, refused)
    assert finding.orders > 0, "nothing was handed in"


def outcomes(rig: Rig) -> list[dict[str, str]]:
    """Every entry of the outcome stream, oldest first."""
    found = rig.store.redis.xrange(rig.store.keys.of("outcomes"))
    return [entry for _, entry in cast("list[tuple[str, dict[str, str]]]", found)]


def _batches(rig: Rig) -> list[str]:
    prefix = rig.store.keys.of("batch", "")
    return [str(key).removeprefix(prefix) for key in rig.store.redis.scan_iter(f"{prefix}*", count=1000)]


def _rows(rig: Rig, batches: Iterable[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Every row of these batches: job and what it ended with, None while it waits."""
    for batch in batches:
        for job, row in rig.store.redis.hscan_iter(rig.store.keys.of("rows", batch), count=1000):
            yield job, json.loads(row) if row_ended(row) else None


def _lost(rig: Rig, batches: Iterable[str], rows: list[tuple[str, dict[str, Any] | None]]) -> int:
    waiting = sum(row is None for _, row in rows)
    sizes = sum(rig.store.batches.state(batch).size for batch in batches)
    return waiting + sizes - len(rows)


def _wrong(rig: Rig, rows: list[tuple[str, dict[str, Any] | None]]) -> int:
    """Outcomes that the book contradicts, and those that the stream does not tell once."""
    book = {order.ordId: order.state for order in rig.exchange.control.orders()}
    told: Counter[tuple[str, str, str]] = Counter()
    for entry in outcomes(rig):
        told[entry["order"], entry["generation"], entry["status"]] += 1
    ended = {(job, str(row["generation"]), str(row["status"])) for job, row in rows if row}
    contradicted = sum(
        status in STATES and book.get(_order(job), "") not in STATES[status] for job, _, status in ended if "/o" in job
    )
    twice = sum(count - 1 for count in Counter((job, number) for job, number, _ in told.elements()).values())
    return contradicted + twice + sum(not told[each] for each in ended)


def _order(job: str) -> str:
    return job.rpartition("/")[2][1:]


def _exceeded(rig: Rig, scope: _Scope) -> int:
    """Meters that were overfilled; where others use them, too, our requests are counted alone."""
    limits = rig.exchange.config.limits
    worst = {key: meter.max_in_window for key, meter in rig.exchange.control.summary().meters.items()}
    if scope.foreign:
        worst = _ours(rig, scope.foreign)
    allowed = {key: limits.of(key.partition(":")[0]) for key in worst if scope.covers(key)}
    return sum(worst[key] > limit for key, limit in allowed.items() if limit)


def _ours(rig: Rig, foreign: AbstractSet[str]) -> dict[str, int]:
    """The worst window of each meter without the requests for foreign orders."""
    tracks: dict[str, tuple[list[int], list[int]]] = {}
    for row in rig.exchange.control.log():
        for meter, weight in zip(row.meters, row.weights, strict=True) if foreign.isdisjoint(row.ordIds) else ():
            times, weights = tracks.setdefault(meter, ([], []))
            times.append(row.at_us)
            weights.append(weight)
    window_us = rig.exchange.config.limits.window_ms * 1000
    return {meter: max_in_window(times, window_us, weights) for meter, (times, weights) in tracks.items()}


def _cancels(rig: Rig, uid: str = "") -> Iterator[Arrival]:
    return (row for row in rig.exchange.control.log() if row.endpoint in CANCELS and uid in {"", row.uid})


def _append(finding: Finding) -> None:
    if path := os.environ.get("CHAOS_REPORT"):
        with Path(path).open("a", encoding="utf-8") as report:
            report.write(json.dumps(asdict(finding)) + "\n")
