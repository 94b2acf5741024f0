"""The report of a mass cancel, after FIX's Order Mass Cancel Report. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bulk_cancel.worker.books.mass.flat import State
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
    (reason → orders). `flat_at`: since when the scope is empty.
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

    @property
    def adds_up(self) -> bool:
        """Every order found has exactly one outcome, or waits for it."""
        return self.matched == sum(self.outcomes.values()) + self.waiting

    @property
    def complete(self) -> bool:
        """Nothing more will change."""
        return self.state != "running" and not self.waiting

    @property
    def dead(self) -> int:
        """Orders that were given up, or refused by the exchange for good."""
        return sum(self.outcomes.get(status, 0) for status in DEAD)

    @property
    def succeeded(self) -> bool:
        """All that was found is off the book, and the scope is flat if that was asked for: its listings prove it."""
        wanted = "flat" if self.until_flat_s else "done"
        off = sum(self.outcomes.get(status, 0) for status in OFF_THE_BOOK)
        proven = self.state == "flat" or off == self.matched
        return (
            self.complete and self.state == wanted and proven and not (self.dead or self.not_affected.get(UNREADABLE))
        )


def make_report(mass: Mass, state: BatchState, rows: Iterable[Row]) -> MassReport:
    """Puts a mass cancel, its batch and (once it ended) the batch's rows together."""
    orders = list(rows)
    return MassReport(
        batch_id=mass.batch_id,
        account=mass.account,
        state=mass.state,
        scope=mass.scope,
        until_flat_s=mass.until_flat_s,
        matched=state.size,
        outcomes=dict(state.counts),
        waiting=state.waiting,
        partly_filled=sum(row.partly_filled for row in orders),
        not_off=[_not_off(row) for row in orders if row.status not in OFF_THE_BOOK],
        still_open=mass.matching if mass.until_flat_s else None,
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
    )


def _not_off(row: Row) -> NotOff:
    return NotOff(row.instId, row.ordId, row.clOrdId, row.status, row.sCode or None, row.sMsg or None)


def report_json(report: MassReport) -> dict[str, object]:
    """The report for programs; times are datetimes."""
    scope = report.scope
    return {
        "batch_id": report.batch_id,
        "account": report.account,
        "state": report.state,
        "succeeded": report.succeeded,
        "scope_asked": scope.asked,
        "scope_applied": {"by_exchange": scope.by_exchange, "by_us": scope.by_us},
        "until_flat_s": report.until_flat_s or None,
        "matched": report.matched,
        "outcomes": dict(report.outcomes),
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
        "listings": report.listings,
        "reading_calls": report.calls,
        "trouble": report.trouble or None,
        "reason": report.reason,
        "requested_by": report.requested_by,
    }
