"""Which orders a decision is about that names a filter: those of every batch, or of one, that fit it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bulk_cancel.worker.operators.past import past_batches
from bulk_cancel.worker.state.batches import BatchState, Row, UnknownBatchError
from bulk_cancel.worker.state.statuses import IN_LINE, Again
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.times import time_of


@dataclass(frozen=True, slots=True)
class Filter:
    """What the orders have in common; an empty field leaves nothing out.

    `codes` are the exchange's last words, `since` is when an order ended, or was handed in if it waits.
    """

    accounts: tuple[str, ...] = ()
    inst_ids: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    since: datetime | None = None

    def fits(self, row: Row) -> bool:
        """Whether the order is meant; its account is its batch's."""
        at = row.enqueued_at if row.finished_at is None else row.finished_at
        return (
            (not self.inst_ids or row.instId in self.inst_ids)
            and (not self.codes or row.sCode in self.codes)
            and (self.since is None or time_of(at) >= self.since)
        )

    @property
    def asked(self) -> dict[str, object]:
        """Every field that is set, in the words of the contract, for the audit."""
        since = self.since.astimezone(UTC).isoformat(timespec="seconds") if self.since else None
        said = {"account": self.accounts, "instId": self.inst_ids, "sCode": self.codes, "since": since}
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Match:
    """The orders of one batch that fit, by job, in the order in which they were handed in."""

    state: BatchState
    rows: Mapping[str, Row]


def orders_of(matches: Iterable[Match]) -> int:
    """How many orders: each counts once, whoever handed it in."""
    return len({job for match in matches for job in match.rows})


class Matching:
    """Finds orders by filters; raises UnknownBatchError for a batch that is named, and redis-py's errors."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batches = store.batches

    def ended(self, wanted: Filter, statuses: Sequence[Again], batch_id: str | None = None) -> list[Match]:
        """Orders that ended in one of `statuses`, of batches as far back as they are kept."""
        known = past_batches(self._store) if batch_id is None else [self._batches.state(batch_id)]
        states = (state for state in known if _may_have(state, statuses, wanted.since))
        return list(self._matches(states, wanted, statuses))

    def unsent(self, wanted: Filter, batch_id: str | None = None) -> list[Match]:
        """Orders that wait and were never sent."""
        known = self._batches.recent(0) if batch_id is None else [self._batches.state(batch_id)]
        return list(self._matches(known, wanted, IN_LINE))

    def _matches(self, states: Iterable[BatchState], wanted: Filter, statuses: Sequence[str]) -> Iterator[Match]:
        for state in states:
            if wanted.accounts and state.account not in wanted.accounts:
                continue
            rows = {job: row for job, row in self._rows(state.batch_id) if _is(row, statuses) and wanted.fits(row)}
            if rows:
                yield Match(state, rows)

    def _rows(self, batch_id: str) -> list[tuple[str, Row]]:
        """In the order in which they were handed in; none of a batch that is kept no longer."""
        try:
            rows = self._batches.rows_by_job(batch_id)
        except UnknownBatchError:
            return []
        return sorted(rows.items(), key=lambda item: item[1].number)


def _may_have(state: BatchState, statuses: Sequence[Again], since: datetime | None) -> bool:
    """Most batches end well, and need not be read row by row."""
    recent = since is None or state.completed_at is None or state.completed_at >= since
    return recent and any(state.counts.get(status) for status in statuses)


def _is(row: Row, statuses: Sequence[str]) -> bool:
    """Of those that wait, only who was never sent can be taken back."""
    return row.status in statuses and (row.finished_at is not None or row.first_sent_at is None)
