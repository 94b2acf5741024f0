"""The snapshot of a whole runner: lanes, rests, workers, batches and totals; changes nothing.

One reading is not one instant: lanes are read in parts, so figures of a busy runner may differ by a moment.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from bulk_cancel.worker.alerts.conditions import Urgent, may_be_live, oldest_urgent
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.users import ALGOS
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.fleet import Worker, read_marks, read_workers
from bulk_cancel.worker.state.formats import Marks, readable
from bulk_cancel.worker.state.ids import holder_of, uid_of
from bulk_cancel.worker.state.rests import Clock, Rest, read_clock, read_rests
from bulk_cancel.worker.state.scopes import lane_scope, user_scope
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.switches import Switch, read_switches
from bulk_cancel.worker.state.times import time_of

BATCHES_SHOWN: Final = 20
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane: where its jobs are, slots used of each meter's limit, calls so far, and what holds it back."""

    name: str
    queued: int
    sending: int
    retrying: int
    single_used: int
    batch_used: int
    limits: Limits
    sent: int
    refused: int
    outcomes: Mapping[str, int]
    rest: Rest | None

    @property
    def uid(self) -> str:
        """The exchange's User ID."""
        return uid_of(self.name)

    @property
    def waiting(self) -> int:
        """Jobs without an outcome."""
        return self.queued + self.sending + self.retrying


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment; `lanes` busiest first, `batches` the next `BATCHES_SHOWN` of `batches_waiting`."""

    at: datetime
    lanes: Sequence[Lane]
    rests: Sequence[Rest]
    workers: Sequence[Worker]
    batches: Sequence[BatchState]
    batches_waiting: int
    refused: int
    may_be_live: int = 0
    given_up: Sequence[str] = ()
    """The accounts of the latest of these orders, one each; an empty text where that is forgotten."""
    oldest_urgent: Urgent | None = None
    switches: Sequence[Switch] = ()
    masses: Sequence[Mass] = ()
    """Mass cancels that still list."""
    formats: Marks = field(default_factory=dict)
    """The marked formats of what stands in Redis."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """User IDs of the accounts that are known."""
    shards: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of a runner with several the shard of each row, by the name of the rows' field; else nothing."""
    away: Sequence[str] = ()
    """Why others of its shards are not in it, a line each."""

    def placed(self, name: str) -> list[tuple[str, Any]]:
        """The rows of that field, each with its shard: an empty text if there is no other."""
        rows = getattr(self, name)
        return list(zip(self.shards.get(name, [""] * len(rows)), rows, strict=True))

    @property
    def alive(self) -> int:
        """Workers alive."""
        return sum(worker.alive for worker in self.workers)

    @property
    def waiting(self) -> int:
        """Jobs without an outcome, over all lanes."""
        return sum(lane.waiting for lane in self.lanes)

    @property
    def outcomes(self) -> Mapping[str, int]:
        """Jobs that ended, by outcome, over all lanes known."""
        return sum((Counter(lane.outcomes) for lane in self.lanes), Counter[str]())


def busy_lanes(store: Store) -> set[str]:
    """Every lane with an order that waits or is being sent; raises redis-py's errors."""
    with store.redis.pipeline(transaction=False) as pipe:
        for board in ("urgent", "board"):
            pipe.zrange(store.keys.of(board), 0, -1)
        return {str(lane) for lanes in pipe.execute() for lane in lanes}


def read_snapshot(store: Store, only: Collection[str] | None = None) -> Snapshot:
    """The runner as it stands, with all of its lanes or `only` these.

    Raises UnreadableFormatError, or redis-py's errors.
    """
    redis, keys = store.redis, store.keys
    marks = readable(store.scripts.formats, read_marks(redis, keys))
    clock = read_clock(redis, keys)
    every = (str(lane) for lane, _ in redis.zscan_iter(keys.of("lanes"), count=1000))
    names = list(every if only is None else only)
    accounts = store.directory.all()
    rests = {rest.scope: rest for rest in read_rests(store, clock, accounts, names)}
    limits = {info.uid: info.limits for info in accounts.values()}
    limits |= {info.uid + ALGOS: Limits(info.algo_limit, 0) for info in accounts.values()}
    live, latest = may_be_live(redis, keys, retention_s=store.settings.retention_s)
    blackout = _blackout(clock)
    lanes = [lane for chunk in chunks(names, _CHUNK) for lane in _lanes(store, clock, chunk, limits, rests)]
    return Snapshot(
        at=time_of(clock.wall),
        lanes=sorted(lanes, key=lambda lane: (-lane.waiting, -lane.sent, lane.name)),
        rests=[*([blackout] if blackout else []), *rests.values()],
        workers=read_workers(redis, keys),
        batches=store.batches.recent(BATCHES_SHOWN),
        batches_waiting=int(redis.zcard(keys.of("deadlines"))),
        refused=store.refusals.count(),
        may_be_live=live,
        given_up=[order.account for order in latest],
        oldest_urgent=oldest_urgent(redis, keys),
        switches=read_switches(redis, keys, [info.uid for info in accounts.values()]),
        masses=Masses(store).running(),
        formats=marks,
        accounts={name: info.uid for name, info in accounts.items()},
    )


def _blackout(clock: Clock) -> Rest | None:
    if clock.blocked_until <= clock.now:
        return None
    why = clock.blocked_for or "Redis restarted and may have forgotten slots"
    return Rest("redis", why, clock.at(clock.blocked_until), probing=False)


def _lanes(
    store: Store,
    clock: Clock,
    names: Sequence[str],
    limits: Mapping[str, Limits],
    rests: Mapping[str, Rest],
) -> Iterator[Lane]:
    with store.redis.pipeline(transaction=False) as pipe:
        for name in names:
            for place in ("ready", "claimed", "later"):
                pipe.zcard(store.keys.of(place, name))
            pipe.zcount(store.keys.of("window", f"{name}:single"), f"({clock.now}", "+inf")
            pipe.zrangebyscore(store.keys.of("window", f"{name}:batch"), f"({clock.now}", "+inf")
            pipe.hgetall(store.keys.of("lane", name))
        read = iter(pipe.execute())
    for name, *figures, raw in zip(names, read, read, read, read, read, read, strict=True):
        limit = limits.get(holder_of(name), _own_limits(store.settings))
        own = rests.get(user_scope(uid_of(name))) or rests.get(lane_scope(name))
        rest = own or _held(raw, clock, rests) or _unserved(name, limits, clock)
        yield _lane(name, figures, raw, limit, rest)


def _slots(calls: Iterable[str]) -> int:
    """How many slots these calls of a batch window have: each says it at the end of its name."""
    return sum(int(call.rpartition("/")[2]) for call in calls)


def _lane(name: str, figures: Sequence[Any], raw: Mapping[str, str], limits: Limits, rest: Rest | None) -> Lane:
    queued, sending, retrying, single, batch = figures
    return Lane(
        name=name,
        queued=queued,
        sending=sending,
        retrying=retrying,
        single_used=single,
        batch_used=_slots(batch),
        limits=limits,
        sent=int(raw.get("sent", 0)),
        refused=int(raw.get("refused", 0)),
        outcomes={field[7:]: int(count) for field, count in raw.items() if field.startswith("status:")},
        rest=rest,
    )


def _held(raw: Mapping[str, str], clock: Clock, rests: Mapping[str, Rest]) -> Rest | None:
    """What a wider scope does to a lane: it says only until when, so the scope is the one that ends then."""
    held = int(raw.get("held", 0))
    if held <= clock.now:
        return None
    ends = clock.at(held)
    near = (rest for rest in rests.values() if rest.until and abs(rest.until - ends) < timedelta(milliseconds=1))
    return (
        _blackout(clock)
        or next(near, None)
        or Rest("wider", "waits for its account or the exchange", ends, probing=False)
    )


def _unserved(name: str, served: Mapping[str, Limits], clock: Clock) -> Rest | None:
    """Nobody sends for a lane whose UID no account has any more."""
    uid = uid_of(name)
    if uid in served:
        return None
    return Rest(
        user_scope(uid), f"no account has UID {uid}; set it back until this is done", clock.at(clock.now), probing=False
    )


def _own_limits(settings: Settings) -> Limits:
    return Limits(settings.limit_single, settings.limit_batch)
