"""Refuses to let orders go again where no worker serves their account: it was moved to another shard, or is gone."""

from collections.abc import Callable, Iterable

from bulk_cancel.tasks.asking import Asking
from bulk_cancel.tasks.errors import MovedAccountError
from bulk_cancel.worker.config.users import owner_of
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.store import Store

Where = Callable[[str], Asking[str]]
"""The name of the shard that has an account; empty if that is not known."""


def not_told(_account: str) -> Asking[str]:
    """Of who knows this Redis alone."""
    yield from ()
    return ""


def once_each(where: Where) -> Where:
    """The same, asked once for each account: a shard that is silent is waited for as often."""
    found: dict[str, str] = {}

    def ask(account: str) -> Asking[str]:
        if account not in found:
            found[account] = yield from where(account)
        return found[account]

    return ask


def ask_served(store: Store, batch: BatchState, jobs: Iterable[str], where: Where = not_told) -> Asking[None]:
    """Raises MovedAccountError, or UnknownAccountError where there is no other shard.

    What the workers of this Redis have published counts, not what our settings say: those may be older. `jobs` are the
    batch's: whoever serves their User ID sends for them, by whatever name.
    """
    directory, alone = store.directory, not store.settings.one_of
    if (yield from (directory.ask_knows if alone else directory.ask_served)(batch.account)):
        return
    uids = {owner_of(job.partition("/")[0]) for job in jobs}
    if uids and uids <= (yield from directory.ask_served_uids()):
        return
    if alone:
        yield from directory.ask_find(batch.account)
        return
    there = yield from where(batch.account)
    raise MovedAccountError(batch.batch_id, batch.account, here=store.settings.shard, shard=there)
