"""The demo's report: how fast it was and what the exchange had to refuse, from its own log. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bulk_cancel.worker.cli.demo.plan import Plan, minimum_s
from bulk_cancel.worker.simulator.log import MeterSummary
from bulk_cancel.worker.simulator.messages import Summary
from bulk_cancel.worker.state.batches import Row
from bulk_cancel.worker.state.statuses import DEAD


@dataclass(frozen=True, slots=True)
class InstrumentReport:
    """One instrument.

    `flat_s`: from submit to the answer to its last cancel; `span_s`: from its first cancel's arrival to its last;
    `minimum_s`: the least that the limits allow for that; `batch_max` and `single_max`: the most that arrived in any
    window; `refusals`: HTTP 429.
    """

    instId: str
    orders: int
    outcomes: Mapping[str, int]
    flat_s: float
    span_s: float
    minimum_s: float
    batch_max: int
    single_max: int
    refusals: int

    @property
    def share(self) -> float | None:
        """Used of the rate allowed: minimum ÷ span; None if all fitted into one window, so that no limit mattered."""
        if not self.minimum_s or not self.span_s:
            return None
        return min(1.0, self.minimum_s / self.span_s)


@dataclass(frozen=True, slots=True)
class Report:
    """The whole demo; `repeated` orders were sent more than one cancel, `blocked_s` went by before any was allowed.

    `confirmed_s`: from submit to the last order of which the book told that it is off.
    """

    batch_id: str
    orders: int
    workers: int
    flat_s: float
    confirmed_s: float
    minimum_s: float
    refusals: int
    outcomes: Mapping[str, int]
    complete: bool
    blocked_s: float
    repeated: int
    instruments: Sequence[InstrumentReport]

    @property
    def dead(self) -> int:
        """Orders that may still be live."""
        return sum(self.outcomes.get(status, 0) for status in DEAD)

    @property
    def line(self) -> str:
        """All of it in one line."""
        return (
            f"{self.orders:,} orders, {len(self.instruments)} instruments: flat in {self.flat_s:.2f} s, "
            f"legal minimum {self.minimum_s:.2f} s, refusals {self.refusals}"
        )


def make_report(
    plan: Plan,
    rows: Iterable[Row],
    summary: Summary,
    *,
    uid: str,
    taken_at: datetime,
    sending_from: datetime,
    workers: int,
    complete: bool,
) -> Report:
    """Puts the exchange's summary and the batch's rows together.

    The batch was taken at `taken_at`; a Redis that had just started let nobody send before `sending_from`.
    """
    started_us = round(sending_from.timestamp() * 1e6)
    found: Mapping[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.instId].append(row)
    instruments = [_instrument(name, found[name], summary, uid, started_us) for name in plan.orders]
    return Report(
        batch_id=next((row.batch_id for each in found.values() for row in each), ""),
        orders=plan.total,
        workers=workers,
        flat_s=max(each.flat_s for each in instruments),
        confirmed_s=_since(started_us, (row.finished_at for each in found.values() for row in each)),
        minimum_s=plan.minimum_s,
        refusals=summary.refusals,
        outcomes=dict(sum((Counter(each.outcomes) for each in instruments), Counter[str]())),
        complete=complete,
        blocked_s=(sending_from - taken_at).total_seconds(),
        repeated=sum(orders for cancels, orders in summary.cancels_per_order.items() if cancels > 1),
        instruments=instruments,
    )


def _instrument(name: str, rows: Sequence[Row], summary: Summary, uid: str, started_us: int) -> InstrumentReport:
    meters = {kind: summary.meters.get(f"{kind}:{uid}:{name}") for kind in ("batch", "single")}
    seen = [meter for meter in meters.values() if meter]
    return InstrumentReport(
        instId=name,
        orders=len(rows),
        outcomes=dict(Counter(row.status for row in rows)),
        flat_s=_since(started_us, map(_answered_at, rows)),
        span_s=_span_s(seen),
        minimum_s=minimum_s(len(rows)),
        batch_max=_worst(meters["batch"]),
        single_max=_worst(meters["single"]),
        refusals=sum(meter.refusals for meter in seen),
    )


def _since(started_us: int, instants: Iterable[int | None]) -> float:
    return (max((at for at in instants if at), default=started_us) - started_us) / 1e6


def _answered_at(row: Row) -> int | None:
    """When the exchange answered its last cancel, µs."""
    return int(str(row.log[-1]["at"])) if row.log else row.finished_at


def _span_s(meters: Sequence[MeterSummary]) -> float:
    if not meters:
        return 0.0
    return (max(meter.last_us for meter in meters) - min(meter.first_us for meter in meters)) / 1e6


def _worst(meter: MeterSummary | None) -> int:
    return meter.max_in_window if meter else 0
