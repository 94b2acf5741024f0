"""The conditions that hold now as points of `check`, each by its stable name."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.alerts.alerts import Condition
from bulk_cancel.worker.alerts.conditions import (
    URGENT_TOO_OLD_S,
    NotFlat,
    Pause,
    may_be_live,
    not_flat,
    oldest_urgent,
    pauses,
    refused_lanes,
)
from bulk_cancel.worker.alerts.unread import UNREAD_HINT
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.operators.point import Point, brief
from bulk_cancel.worker.state.connection import connect_broker
from bulk_cancel.worker.state.fleet import read_marks
from bulk_cancel.worker.state.formats import readable
from bulk_cancel.worker.state.rights import try_rights
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.strays import strays

REFUSED_OF_LATE_S: Final = 60.0
_NAMED: Final = 5
_MEND_KEY: Final = "mend the credentials that the exchange refuses"


def conditions(store: Store) -> Iterator[Point]:
    """All of them, whether they hold or not."""
    asked: Mapping[Condition, Callable[[Store], Point]] = {
        Condition.ORDER_MAY_BE_LIVE: _orders,
        Condition.MASS_NOT_FLAT: _masses,
        Condition.ACCOUNT_PAUSED: _accounts,
        Condition.LANE_REFUSED: _lanes,
        Condition.OLDEST_URGENT: _urgent,
        Condition.UNREAD_MESSAGES: _unread,
    }
    try:
        # without accounts here nobody writes from here, and a reader's rights tell of no refused write
        refused = try_rights(store.redis, store.keys, "worker").refused if store.settings.accounts else ""
        readable(store.scripts.formats, read_marks(store.redis, store.keys))
        points = [ask(store) for ask in asked.values()]
    except RedisError:
        yield Point(Condition.REDIS_LOST, "ACT", "no answer from here", "see redis above")
        yield from (Point(name, "warn", "not asked: Redis is away", "") for name in asked)
        return
    except UnreadableFormatError as error:
        yield from (Point(name, "warn", f"not asked: {error}", "see formats") for name in asked)
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
    text = f"{count:,} whose cancel was given up: {_some(order.order for order in latest)}"
    batches = dict.fromkeys(batch for order in latest for batch in order.batches)
    if not batches:
        return Point(Condition.ORDER_MAY_BE_LIVE, "ACT", text, "cancel them at the exchange, or hand them in again")
    mend = "bulk-cancel retry BATCH, or cancel them at the exchange"
    return Point(Condition.ORDER_MAY_BE_LIVE, "ACT", f"{text}; of batch {_some(batches)}", mend)


def _masses(store: Store) -> Point:
    found = all_not_flat(store, Masses(store).running())
    if not found:
        return Point(Condition.MASS_NOT_FLAT, "ok", "no mass cancel ended, or is on hold, without its scope being flat")
    text = "; ".join(f"{mass.batch_id} of {mass.account}: {_how(mass)}" for mass in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" * (len(found) > _NAMED)
    return Point(Condition.MASS_NOT_FLAT, "ACT", text + more, "bulk-cancel all with the same scope, until it is flat")


def all_not_flat(store: Store, running: Iterable[Mass]) -> list[NotFlat]:
    """Those that are told of, and those of the running ones that were flat on hold and are listed no more."""
    unlisted = [NotFlat(mass.batch_id, mass.account, mass.state, mass.trouble) for mass in running if not mass.listed]
    return not_flat(store.redis, store.keys) + unlisted


def _how(mass: NotFlat) -> str:
    return "on hold, not flat" if mass.state == "running" else mass.state


def _accounts(store: Store) -> Point:
    accounts = {name: info.uid for name, info in store.directory.all().items()}
    found = pauses(store.redis, store.keys, accounts)
    if not found:
        return Point(Condition.ACCOUNT_PAUSED, "ok", "no account is paused")
    text = "; ".join(f"{pause.account}: {_why(pause)}" for pause in found)
    mends = {"bulk-cancel resume ACCOUNT when it may go on" if pause.by else _MEND_KEY: None for pause in found}
    return Point(Condition.ACCOUNT_PAUSED, "ACT", text, "; ".join(mends))


def _why(pause: Pause) -> str:
    return ": ".join(filter(None, (f"paused by {pause.by}" if pause.by else "", pause.why)))


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


def _unread(store: Store) -> Point:
    """The broker may be away while the state is not, and this user may have no right to look."""
    try:
        with connect_broker(store.settings) as broker:
            found = strays(broker)
    except RedisError as error:
        return Point(Condition.UNREAD_MESSAGES, "warn", f"not looked for: {brief(error)}", "see broker above")
    if not found:
        return Point(Condition.UNREAD_MESSAGES, "ok", "none in a list of the broker that nobody reads")
    named = "; ".join(map(str, found[:_NAMED])) + f" and {len(found) - _NAMED} more lists" * (len(found) > _NAMED)
    return Point(Condition.UNREAD_MESSAGES, "ACT", f"{named}: nobody reads them", f"{UNREAD_HINT}; then move them")


def _some(names: "Iterator[str] | Mapping[str, object]") -> str:
    every = list(names)
    return ", ".join(every[:_NAMED]) + (f" and {len(every) - _NAMED} more" if len(every) > _NAMED else "")
