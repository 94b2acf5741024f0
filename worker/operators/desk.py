"""What a service asks of a runner: to take orders, how they stand, what became of them; for both clients of redis-py.

Whoever calls runs what a method returns with `answered`, or awaits it with `awaited` (`tasks/asking.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.tasks.mass import CancelAll
from bulk_cancel.tasks.messages import Order, parse_cancel_orders
from bulk_cancel.tasks.outcomes import BatchState, Outcome, Retried, Row, Withdrawn
from bulk_cancel.tasks.receipts import MassReceipt, Receipt
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.report import MassReport
from bulk_cancel.worker.operators.decisions import Decisions, asked_of, renewal_of
from bulk_cancel.worker.operators.holds import ask_release
from bulk_cancel.worker.operators.reports import ask_report
from bulk_cancel.worker.state.batches import Reading, Waiting
from bulk_cancel.worker.state.outcomes import Outcomes
from bulk_cancel.worker.state.shards import Shard


class Desk:
    """The desk of one shard, which is a whole runner as a rule; raises BulkCancelError and redis-py's errors."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.store = store = shard.store
        self._decisions = Decisions(store, shard.ask_where)
        self._outcomes = Outcomes(store.redis, store.keys, store.scripts.formats)

    def home(self, batch_id: str) -> "Asking[Desk]":
        """The desk of a batch of ours: this one, without a question."""
        del batch_id
        yield from ()
        return self

    def submit(self, orders: Iterable[Order | Mapping[str, object]], fields: Mapping[str, object]) -> Asking[Receipt]:
        """Takes a batch; `fields` are those of `parse_cancel_orders`."""
        asked = parse_cancel_orders(orders=orders, **fields)  # type: ignore[arg-type]
        return self.shard.ask(self.store.admission.ask_admit(asked))

    def take_all(self, asked: CancelAll) -> Asking[list[MassReceipt]]:
        """Takes a mass cancel, of `*` one for each User ID."""
        return [mass.receipt for mass in (yield from self.shard.ask(Masses(self.store).ask_take(asked)))]

    def status(self, batch_id: str) -> Asking[BatchState]:
        """How a batch stands."""
        return self.shard.ask(self.store.batches.ask_state(batch_id))

    def waiting(self, batch_id: str, timeout_s: float | None) -> Iterator[Asking[BatchState]]:
        """How a batch stands, again and again until it is complete; each is asked before the next one is taken."""
        waiting = Waiting(self.store.batches, batch_id, timeout_s=timeout_s)
        while not waiting.over:
            yield self.shard.ask(waiting.ask_next())

    def reading(self, batch_id: str) -> Iterator[Asking[list[Row]]]:
        """The rows of a batch, page by page; each is asked before the next one is taken."""
        reading = Reading(self.store.batches, batch_id)
        while not reading.over:
            yield self.shard.ask(reading.ask_next())

    def report(self, batch_id: str) -> Asking[MassReport]:
        """How a mass cancel stands."""
        return self.shard.ask(ask_report(self.store, batch_id))

    def withdraw(self, batch_id: str, *, by: str, reason: str) -> Asking[Withdrawn]:
        """Takes a batch back from every order that was not sent."""
        return self.shard.ask(self._decisions.ask_withdraw(batch_id, asked_of(by, reason)))

    def release(self, batch_id: str, *, by: str, reason: str) -> Asking[bool]:
        """Ends the hold of a mass cancel; whether it was on."""
        return (yield from self.shard.ask(ask_release(self.store, batch_id, asked_of(by, reason)))).changed

    def retry(
        self, batch_id: str, *, by: str, reason: str, statuses: Sequence[str], deadline_s: int | None
    ) -> Asking[Retried]:
        """Lets the orders that ended in one of `statuses` go again."""
        why, again = asked_of(by, reason), renewal_of(statuses, deadline_s)
        asked = self._decisions.ask_retry(batch_id, why, statuses=again.statuses, deadline_s=again.deadline_s)
        return self.shard.ask(asked)

    def since(self, position: str, wait_s: float) -> Asking[list[Outcome]]:
        """Outcomes after a position; if there are none, waits for the first."""
        return self.shard.ask(self._outcomes.ask_since(position, wait_s=wait_s))

    def newest(self) -> Asking[str]:
        """The position after which outcomes are still to come."""
        return self.shard.ask(self._outcomes.ask_newest())
