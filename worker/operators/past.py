"""Which batches there were: found by the audit's entries of their submission, so that no key has to be searched for."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Final

from bulk_cancel.worker.operators.audit import BEGINNINGS, Audit
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.store import Store

_PART: Final = 100


class Kind(StrEnum):
    """How a batch stands as a whole, or an outcome that some of its orders have."""

    OPEN = "open"
    COMPLETE = "complete"
    ACCEPTED = "accepted"
    CANCELED = "canceled"
    FILLED = "filled"
    GONE = "gone"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    WITHDRAWN = "withdrawn"

    def fits(self, state: BatchState) -> bool:
        """Whether the batch is of this kind."""
        match self:
            case Kind.OPEN:
                return not state.complete
            case Kind.COMPLETE:
                return state.complete
        return state.counts.get(self.value, 0) > 0


def past_batches(store: Store, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[BatchState]:
    """Batches created from `since` until `until`, the newest first; raises redis-py's errors.

    The audit keeps `RETENTION_S`: of batches that were created earlier only those are found that still have orders
    waiting.
    """
    ids = _submitted(store, since, until)
    seen: set[str] = set()
    while part := list(islice(ids, _PART)):
        seen.update(part)
        yield from store.batches.known(part)
    older = (state for state in store.batches.recent(0) if state.batch_id not in seen)
    for state in sorted(older, key=lambda state: state.created_at, reverse=True):
        if (since is None or state.created_at >= since) and (until is None or state.created_at <= until):
            yield state


def _submitted(store: Store, since: datetime | None, until: datetime | None) -> Iterator[str]:
    """The ids, each once, the newest first."""
    seen: set[str] = set()
    for decision in Audit(store).backwards():
        if since is not None and decision.at < since:
            return
        late = until is not None and decision.at > until
        if decision.event in BEGINNINGS and decision.batch_id not in seen and not late:
            seen.add(decision.batch_id)
            yield decision.batch_id
