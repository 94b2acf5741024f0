"""Refuses to let orders go again where no worker serves their account: it was moved to another shard, or is gone."""

from collections.abc import Callable

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.tasks.errors import MovedAccountError
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.store import Store

Where = Callable[[str], Asking[str]]
"""The name of the shard that has an account; empty if that is not known."""


def not_told(_account: str) -> Asking[str]:
    """Of who knows this Redis alone."""
    yield from ()
    return ""


def ask_served(store: Store, batch: BatchState, where: Where = not_told) -> Asking[None]:
    """Raises MovedAccountError, or UnknownAccountError where there is no other shard.

    What the workers of this Redis have published counts, not what our settings say: those may be older.
    """
    if not store.settings.one_of:
        yield from store.directory.ask_find(batch.account)
    elif not (yield from store.directory.ask_served(batch.account)):
        there = yield from where(batch.account)
        raise MovedAccountError(batch.batch_id, batch.account, here=store.settings.shard, shard=there)
