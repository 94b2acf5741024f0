"""The report of a mass cancel, after FIX's Order Mass Cancel Report. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bulk_cancel.worker.books.able import Survey, said_of
from bulk_cancel.worker.books.mass.flat import State
from bulk_cancel.worker.books.mass.products import Products
from bulk_cancel.worker.books.mass.scope import UNREADABLE, Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.state.batches import BatchState, Row
from bulk_cancel.worker.state.statuses import DEAD, OFF_THE_BOOK


@dataclass(frozen=True, slots=True)
class NotOff:
    """An order of the scope whose end is not confirmed, and what was said of it last."""

    instId: str
    ordId: str | None
    clOrdId: str | None
    status: str
    sCode: str | None
    sMsg: str | None


@dataclass(frozen=True, slots=True)
class MassReport:
    """One mass cancel.

    `matched` orders were ever found in scope, `outcomes` says how they ended and `waiting` how many have not; some of
    them were `partly_filled` before.
    `still_open` were in scope at the last complete listing (None: only one was asked for), `not_affected` were not
    (reason → orders). `flat_at`: since when the scope is empty. `hold`: it goes on until an operator releases it, and
    `held_flat` says that its scope has been empty for as long as was asked. `survey`: what can still place orders,
    None: nobody looked (`surveying`: somebody will).
    """

    batch_id: str
    account: str
    state: State
    scope: Scope
    until_flat_s: float
    matched: int
    outcomes: Mapping[str, int]
    waiting: int
    partly_filled: int
    not_off: Sequence[NotOff]
    still_open: int | None
    not_affected: Mapping[str, int]
    started_at: datetime
    flat_at: datetime | None
    ended_at: datetime | None
    deadline_at: datetime
    listings: int
    calls: int
    trouble: str
    reason: str
    requested_by: str
    survey: Survey | None = None
    surveying: bool = False
    hold: bool = False
    held_flat: bool = False
    by_kind: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of a mass cancel of more than orders: `outcomes` of each kind."""
    earliest_done_at: datetime | None = None
    """When the exchange's limits allow the last order that was found to be sent; None: nothing was found yet."""
    products: Products = field(default_factory=Products)
    """Bots, spread orders, RFQs and quotes that it ends: which have, and which are left and why."""

    @property
    def adds_up(self) -> bool:
        """Every order found has exactly one outcome, or waits for it."""
        return self.matched == sum(self.outcomes.values()) + self.waiting

    @property
    def on_hold(self) -> bool:
        """Whatever comes is cancelled, until an operator releases it."""
        return self.hold and self.state == "running"

    @property
    def over(self) -> bool:
        """Nothing more will change."""
        return self.state != "running" and not self.waiting and not self.surveying

    @property
    def complete(self) -> bool:
        """Nothing is left that can place orders in this scope, as far as can be known: no order, and nothing else."""
        return self.cancelled and self.survey is not None and self.survey.complete

    @property
    def dead(self) -> int:
        """Orders that were given up, or refused by the exchange for good."""
        return sum(self.outcomes.get(status, 0) for status in DEAD)

    @property
    def succeeded(self) -> bool:
        """The orders are off the book, and nothing else can place new ones; of one on hold it is so now."""
        return (self.over or self.on_hold) and self.complete

    @property
    def cancelled(self) -> bool:
        """All that was found is off the book, and the scope is flat if that was asked for: its listings prove it."""
        off = sum(self.outcomes.get(status, 0) for status in OFF_THE_BOOK)
        proven = self.state == "flat" or self.held_flat or (not self.hold and off == self.matched)
        left = self.waiting or self.dead or self.not_affected.get(UNREADABLE)
        return self._as_asked and proven and not left

    @property
    def _as_asked(self) -> bool:
        if self.hold:
            return self.state == "released" or (self.on_hold and self.held_flat)
        return self.state == ("flat" if self.until_flat_s else "done")


def make_report(mass: Mass, state: BatchState, rows: Iterable[Row], *, surveying: bool = False) -> MassReport:
    """Puts a mass cancel, its batch and (once it ended) its rows together; `surveying`: its survey is to come."""
    orders = list(rows)
    return MassReport(
        batch_id=mass.batch_id,
        account=mass.account,
        state=mass.state,
        scope=mass.scope,
        earliest_done_at=mass.earliest_done_at,
        until_flat_s=mass.until_flat_s,
        matched=state.size,
        outcomes=dict(state.counts),
        waiting=state.waiting,
        partly_filled=max(state.partly_filled, sum(row.partly_filled for row in orders)),
        not_off=[_not_off(row) for row in orders if row.status not in OFF_THE_BOOK],
        still_open=mass.matching if mass.until_flat_s or mass.hold else None,
        not_affected=mass.left_out,
        started_at=mass.started_at,
        flat_at=mass.flat_at,
        ended_at=mass.ended_at,
        deadline_at=mass.deadline_at,
        listings=mass.listings,
        calls=mass.calls,
        trouble=mass.trouble,
        reason=state.reason,
        requested_by=state.requested_by,
        survey=mass.survey,
        surveying=surveying,
        hold=mass.hold,
        held_flat=mass.hold and mass.flat,
        by_kind=_by_kind(orders) if mass.scope.with_algos else {},
        products=mass.products,
    )


def _by_kind(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    counted = {"orders": Counter[str](), "algos": Counter[str]()}
    for row in rows:
        counted["algos" if row.algoId else "orders"][row.status] += 1
    return {kind: dict(counts) for kind, counts in counted.items()}


def _not_off(row: Row) -> NotOff:
    return NotOff(row.instId, row.ordId or row.algoId, row.clOrdId, row.status, row.sCode or None, row.sMsg or None)


def report_json(report: MassReport) -> dict[str, object]:
    """The report for programs; times are datetimes."""
    scope = report.scope
    return {
        "batch_id": report.batch_id,
        "account": report.account,
        "state": report.state,
        "succeeded": report.succeeded,
        **said_of(report.survey),
        "complete": report.complete,
        "scope_asked": scope.asked,
        "scope_applied": {"by_exchange": scope.by_exchange, "by_us": scope.by_us},
        "until_flat_s": report.until_flat_s or None,
        "hold": report.hold,
        "held_flat": report.held_flat if report.on_hold else None,
        "matched": report.matched,
        "outcomes": dict(report.outcomes),
        "by_kind": {kind: dict(counts) for kind, counts in report.by_kind.items()},
        "products": report.products.said,
        "waiting": report.waiting,
        "partly_filled": report.partly_filled,
        "adds_up": report.adds_up,
        "not_off_the_book": report.not_off,
        "still_open": report.still_open,
        "not_affected": dict(report.not_affected),
        "not_listed": report.scope.not_listed or None,
        "started_at": report.started_at,
        "flat_at": report.flat_at,
        "ended_at": report.ended_at,
        "deadline_at": report.deadline_at,
        "earliest_done_at": report.earliest_done_at,
        "listings": report.listings,
        "reading_calls": report.calls,
        "trouble": report.trouble or None,
        "reason": report.reason,
        "requested_by": report.requested_by,
    }
