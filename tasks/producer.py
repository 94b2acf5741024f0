"""Handing in and reading from Python with the environment's runner: one client for all who call these functions.

Several runners, or none in the environment: `client.py`. The import of this module costs next to nothing: what a call
needs (pydantic, redis-py, parts of `worker`) is imported when it is made. Celery is not needed.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Unpack

from bulk_cancel.tasks.client import BulkCancel, Client
from bulk_cancel.tasks.fields import BatchFields, MassFields
from bulk_cancel.tasks.handles import Batch, MassSubmitted, Submitted
from bulk_cancel.tasks.outcomes import Outcome

if TYPE_CHECKING:
    from bulk_cancel.tasks.messages import Order


def submit(
    orders: Iterable["Order | Mapping[str, object]"], *, account: str, **fields: Unpack[BatchFields]
) -> Submitted:
    """Hands in one batch; every order is in Redis when this returns.

    `orders` are mappings with `instId` and `ordId` or `clOrdId`, at most 100,000. The same `batch_id` with the same
    orders may be submitted again at any time, after an error too: nothing is sent twice because of it.

    Raises:
        InvalidOrders: `errors` names every bad row by its index; nothing was taken.
        SettingsError, UnknownAccountError, AdmissionError: the message says what to change.
        redis.exceptions.RedisError: Redis did not answer; submit the same `batch_id` again.

    All but redis-py's are `BulkCancelError`s (tasks/errors.py).
    """
    return _Here().submit(orders, account=account, **fields)


def submit_all(account: str, **fields: Unpack[MassFields]) -> list[MassSubmitted]:
    """Asks for everything to be cancelled that is open and fits every filter: in Redis when this returns.

    `account` may be `*`: then there is one mass cancel for each User ID, with the id `<batch_id>-<account>`. The same
    again does nothing but answer.

    Raises:
        InvalidOrders: `errors` has one line per fault; nothing was taken.
        SettingsError, UnknownAccountError, AdmissionError: the message says what to change.
        redis.exceptions.RedisError: Redis did not answer; ask again with the same `batch_id`.

    All but redis-py's are `BulkCancelError`s (tasks/errors.py).
    """
    return _Here().submit_all(account, **fields)


def batch(batch_id: str) -> Batch:
    """The batch with this id; nothing is asked of Redis yet."""
    return _Here().batch(batch_id)


def follow(position: str | datetime = "0") -> Iterator[Outcome]:
    """Outcomes of all batches after `position`, as they come; see `BulkCancel.follow`."""
    return _Here().follow(position)


class _Here(BulkCancel):
    """The client of the environment's runner; all of them share its connections."""

    def __init__(self) -> None:
        from bulk_cancel.worker.state.shards import default_shards

        Client.__init__(self, default_shards())
