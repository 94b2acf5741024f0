"""Lets mass cancels go that are on hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.books.mass.by_operator import ask_let_go
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.store import Store


class NotOnHoldError(BulkCancelError):
    """The mass cancel was never on hold."""

    def __init__(self, mass: Mass) -> None:
        how = f"has ended ({mass.state})" if mass.ended else "ends by itself, or with bulk-cancel withdraw"
        super().__init__(f"mass cancel {mass.batch_id!r} is not on hold: it {how}")


@dataclass(frozen=True, slots=True)
class Released:
    """The mass cancel and its batch as they stand now; `changed` is False when it had ended before."""

    mass: Mass
    batch: BatchState
    changed: bool


def of_holds(store: Store, batch_ids: Sequence[str]) -> list[str]:
    """These ids, each once, if all are of mass cancels that are or were on hold; raises as `release` does."""
    wanted = list(dict.fromkeys(batch_ids))
    for batch_id in wanted:
        answered(_ask_held(store, batch_id))
    return wanted


def release(store: Store, batch_id: str, asked: Asked) -> Released:
    """Ends the hold: what was found is cancelled, and nothing more is listed; may be repeated.

    Raises UnknownMassError, NotOnHoldError for one that ends by itself, and redis-py's errors.
    """
    return answered(ask_release(store, batch_id, asked))


def ask_release(store: Store, batch_id: str, asked: Asked) -> Asking[Released]:
    """As `release`, over either client."""
    yield from _ask_held(store, batch_id)
    changed = yield from ask_let_go(store.scripts, batch_id, by=asked.by, reason=asked.reason)
    mass = yield from Masses(store).ask_state(batch_id)
    return Released(mass, (yield from store.batches.ask_state(batch_id)), changed)


def _ask_held(store: Store, batch_id: str) -> Asking[None]:
    mass = yield from Masses(store).ask_state(batch_id)
    if not mass.hold:
        raise NotOnHoldError(mass)
