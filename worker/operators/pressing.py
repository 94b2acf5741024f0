"""The conditions that hold now as points of `check`, each by its stable name."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from redis.exceptions import RedisError

from bulk_cancel.worker.alerts.alerts import Condition
from bulk_cancel.worker.alerts.conditions import (
    URGENT_TOO_OLD_S,
    may_be_live,
    oldest_urgent,
    pauses,
    refused_lanes,
)
from bulk_cancel.worker.operators.point import Point
from bulk_cancel.worker.state.rights import try_rights
from bulk_cancel.worker.state.store import Store

REFUSED_OF_LATE_S: Final = 60.0
_NAMED: Final = 5


def conditions(store: Store) -> Iterator[Point]:
    """All five, whether they hold or not."""
    asked: Mapping[Condition, Callable[[Store], Point]] = {
        Condition.ORDER_MAY_BE_LIVE: _orders,
        Condition.ACCOUNT_PAUSED: _accounts,
        Condition.LANE_REFUSED: _lanes,
        Condition.OLDEST_URGENT: _urgent,
    }
    try:
        refused = try_rights(store.redis, store.keys, "reader" if not store.settings.accounts else "worker").refused
        points = [ask(store) for ask in asked.values()]
    except RedisError:
        yield Point(Condition.REDIS_LOST, "ACT", "no answer from here", "see redis above")
        yield from (Point(name, "warn", "not asked: Redis is away", "") for name in asked)
        return
    if refused:
        yield Point(Condition.REDIS_LOST, "ACT", f"it refuses to write: {refused}", "see rights above")
    else:
        yield Point(Condition.REDIS_LOST, "ok", "Redis answers here; each worker logs when it does not answer there")
    yield from points


def _orders(store: Store) -> Point:
    count, latest = may_be_live(store.redis, store.keys, retention_s=store.settings.retention_s)
    if not count:
        return Point(Condition.ORDER_MAY_BE_LIVE, "ok", "no cancel was given up")
    batches = _some(dict.fromkeys(batch for order in latest for batch in order.batches))
    text = f"{count:,} whose cancel was given up: {_some(order.order for order in latest)}; of batch {batches}"
    return Point(Condition.ORDER_MAY_BE_LIVE, "ACT", text, "bulk-cancel retry BATCH, or cancel them at the exchange")


def _accounts(store: Store) -> Point:
    accounts = {name: info.uid for name, info in store.directory.all().items()}
    found = pauses(store.redis, store.keys, accounts)
    if not found:
        return Point(Condition.ACCOUNT_PAUSED, "ok", "no account is paused")
    text = "; ".join(f"{pause.account}: {f'paused by {pause.by}: ' if pause.by else ''}{pause.why}" for pause in found)
    mend = "mend the credentials, or bulk-cancel resume ACCOUNT if an operator paused it"
    return Point(Condition.ACCOUNT_PAUSED, "ACT", text, mend)


def _lanes(store: Store) -> Point:
    found = refused_lanes(store.redis, store.keys, within_s=REFUSED_OF_LATE_S)
    if not found:
        return Point(
            Condition.LANE_REFUSED, "ok", f"no lane was refused for speed in the last {REFUSED_OF_LATE_S:.0f} s"
        )
    mend = "another program uses the account's limits: stop it, or set SHARE below 1 to leave it room"
    return Point(Condition.LANE_REFUSED, "ACT", f"refused for speed: {_some(lane for lane, _ in found)}", mend)


def _urgent(store: Store) -> Point:
    urgent = oldest_urgent(store.redis, store.keys)
    if urgent is None or urgent.waits_s <= URGENT_TOO_OLD_S:
        return Point(Condition.OLDEST_URGENT, "ok", f"{urgent.waits_s if urgent else 0:.1f} s")
    text = f"{urgent.waits_s:.1f} s: {urgent.order} of batch {urgent.batch} waits in lane {urgent.lane}"
    return Point(Condition.OLDEST_URGENT, "ACT", text, "bulk-cancel status says what holds the lane back")


def _some(names: "Iterator[str] | Mapping[str, object]") -> str:
    every = list(names)
    return ", ".join(every[:_NAMED]) + (f" and {len(every) - _NAMED} more" if len(every) > _NAMED else "")
