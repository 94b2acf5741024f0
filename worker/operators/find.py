"""Finds what a person has only one name of: a batch, an account, an order's id or its client's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bulk_cancel.worker.operators.past import past_batches
from bulk_cancel.worker.state.batches import BatchState, Row, UnknownBatchError
from bulk_cancel.worker.state.store import Store

BATCHES: Final = 20
ORDERS: Final = 20
ORDERS_READ: Final = 100_000
"""Of the newest batches, so that a search is over in about a second."""


@dataclass(frozen=True, slots=True)
class Found:
    """What bears the name; batches and orders the newest first."""

    batches: list[BatchState]
    orders: list[Row]


def find(store: Store, name: str, sees: Callable[[str], bool]) -> Found:
    """Batches with this id or of this account, and orders with this id, of the accounts that `sees` lets through.

    Orders are looked for among the last `ORDERS_READ`. Raises redis-py's errors.
    """
    batches = list(islice(_batches(store, name, sees), BATCHES))
    return Found(batches, list(islice(_orders(store, name, sees), ORDERS)))


def _batches(store: Store, name: str, sees: Callable[[str], bool]) -> Iterator[BatchState]:
    named = [state for state in store.batches.known([name]) if sees(state.account)]
    yield from named
    if name.lower() in store.directory.names() and sees(name.lower()):
        yield from (state for state in past_batches(store) if state.account == name.lower() and state not in named)


def _orders(store: Store, name: str, sees: Callable[[str], bool]) -> Iterator[Row]:
    left = ORDERS_READ
    for state in past_batches(store):
        if left <= 0:
            return
        if sees(state.account):
            left -= state.size
            yield from _rows(store, state.batch_id, name)


def _rows(store: Store, batch_id: str, name: str) -> Iterator[Row]:
    try:
        rows = store.batches.rows(batch_id)
    except UnknownBatchError:  # its time was over meanwhile
        return
    yield from (row for row in rows if name in {row.ordId, row.clOrdId, row.algoId})
