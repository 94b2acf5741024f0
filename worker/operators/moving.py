"""Gives a User ID up on one shard, so that another one may have it, once nothing of it is left there.

Paused it stays there for good: a worker that stood still all the while, or has old settings, sends nothing for it.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.config.users import ALGOS, owner_of
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.past import past_batches
from bulk_cancel.worker.operators.point import Point
from bulk_cancel.worker.operators.status import read_snapshot
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.keys import EXCHANGE_WIDE
from bulk_cancel.worker.state.owners import Owned, owned
from bulk_cancel.worker.state.rests import read_clock
from bulk_cancel.worker.state.scopes import user_scope
from bulk_cancel.worker.state.shards import Shard
from bulk_cancel.worker.state.store import Store

TOLD_AT_ONCE: Final = 500
"""Batches of which one run of `note` tells: a millisecond of Redis."""

_WHY: Final = {
    "not paused": "it is not paused here: bulk-cancel pause it first, and leave it paused here",
    "served": "workers of this shard served it in the last 30 s: restart them without its accounts",
}


class NotMovableError(BulkCancelError):
    """The User ID cannot be given up here; one line for each thing that is in the way."""


@dataclass(frozen=True, slots=True)
class Disowned:
    """What a shard gave up: the `uid` setting, and its accounts as far as they were known there."""

    shard: str
    uid: str
    accounts: tuple[str, ...]


def remains(store: Store, uid: str) -> list[str]:
    """What of a UID is still on this Redis, a line each; empty: nothing. Raises redis-py's errors."""
    return [*_orders(store, uid), *_masses(store, uid), *_slots(store, uid)]


def _orders(store: Store, uid: str) -> Iterator[str]:
    waiting = sum(lane.waiting for lane in read_snapshot(store).lanes if owner_of(lane.uid) == uid)
    unconfirmed = sum(int(store.redis.zcard(store.keys.of("unconfirmed", each))) for each in (uid, uid + ALGOS))
    if waiting:
        yield f"{waiting:,} orders wait to be sent: they go while it is not paused, or withdraw them"
    if unconfirmed:
        yield f"{unconfirmed:,} orders wait for the book's word: workers of this shard are still needed"


def _masses(store: Store, uid: str) -> Iterator[str]:
    for mass in Masses(store).running():
        if owner_of(mass.uid) == uid:
            mend = "bulk-cancel release it" if mass.hold else "wait for its end, or bulk-cancel withdraw it"
            yield f"mass cancel {mass.batch_id} {'is on hold' if mass.hold else 'runs'}: {mend}"


def _slots(store: Store, uid: str) -> Iterator[str]:
    """Of every meter, also those of lanes that are forgotten."""
    now, used = read_clock(store.redis, store.keys).now, 0
    for key in store.redis.scan_iter(f"{EXCHANGE_WIDE}:window:{uid}[/:]*", count=1000):
        used += int(store.redis.zcount(str(key), f"({now}", "+inf"))
    if used:
        yield f"calls of the last seconds still count ({used:,} in its windows): wait some seconds"


def disown(store: Store, name: str, uid: str | None, asked: Asked, others: Sequence[Shard] = ()) -> Disowned:
    """Gives up the User ID of the account `name` (or of this UID setting), and names it in the audit.

    The `others` of the runner are told first which batches stay here, so that none is begun there under the same id.

    Raises:
        NotMovableError: this shard does not own it, or something of it is left here.
        ShardAwayError: one of the others cannot be told.
    """
    uid = uid or _uid_of(store, name)
    users = [each.user for each in owned(store) if each.uid == uid]
    if not users:
        raise NotMovableError(f"shard {store.settings.shard} owns no User ID of {name}; {_others(owned(store))}")
    accounts = tuple(info.name for info in store.directory.all().values() if info.uid == uid)
    left = remains(store, uid)
    if left:
        raise NotMovableError("\n".join(f"{name}: {line}" for line in left))
    _tell_of_batches(store, others, {name, *accounts, *_published(others, uid)})
    for user in users:
        said = {"user": user, "scope": user_scope(uid), "account": name, "accounts": list(accounts)}
        own = {"decision": uuid.uuid4().hex, "step": 0, "by": asked.by, "reason": asked.reason}
        retention_s = store.settings.retention_s
        answer = store.scripts.run("disown", {**own, **said, "retention_s": retention_s})["answer"]
        if answer in _WHY:
            raise NotMovableError(f"{name}: {_WHY[answer]}")
    return Disowned(store.settings.shard, uid, accounts)


def _published(others: Sequence[Shard], uid: str) -> Iterator[str]:
    """The accounts that have this UID setting where they are served next."""
    for shard in others:
        with shard.named():
            yield from (info.name for info in shard.store.directory.all().values() if info.uid == uid)


def _tell_of_batches(store: Store, others: Sequence[Shard], names: set[str]) -> None:
    here = store.settings.shard
    stay = [(f"{each.account} {each.batch_id}", here) for each in past_batches(store) if each.account in names]
    argument = {"note": "elsewhere", "alone": False, "keep_s": store.settings.retention_s}
    for shard in others:
        with shard.named():
            for part in chunks(stay, TOLD_AT_ONCE):
                shard.store.scripts.run("note", {**argument, "fields": dict(part)})


def _uid_of(store: Store, name: str) -> str:
    info = store.directory.all().get(name)
    return info.uid if info else name


def _others(owners: Iterable[Owned]) -> str:
    uids = ", ".join(sorted({each.uid for each in owners}))
    return f"it owns those of UID {uids}" if uids else "it owns none"


def moving_points(store: Store) -> list[Point]:
    """User IDs that this shard owns although its accounts are of another one by now: what is left, or that none is."""
    if not store.settings.one_of:
        return []
    served = {info.uid for info in store.settings.accounts.values()}
    gone = sorted({each.uid for each in owned(store)} - served) if served else []
    return [_point(store, uid) for uid in gone]


def _point(store: Store, uid: str) -> Point:
    left, shard = remains(store, uid), store.settings.shard
    if left:
        text = f"UID {uid} is still registered here, and not to be given up yet: {'; '.join(left)}"
        return Point(
            "shards", "warn", text, "its accounts are served nowhere until shard " + f"{shard} has given it up"
        )
    mend = f"BULK_CANCEL_SHARD={shard} bulk-cancel disown {uid}; leave it paused here"
    return Point("shards", "warn", f"nothing of UID {uid} is left here, and it is still registered here", mend)
