"""Reads from Redis which conditions hold now; changes nothing. See alerts.py for their names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from redis import Redis

from bulk_cancel.worker.okx.codes import Verdict, lookup
from bulk_cancel.worker.state.fleet import barred_everywhere, read_workers
from bulk_cancel.worker.state.jobs import read_jobs
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.scopes import ScopeKind, account_scope, parse_scope, user_scope
from bulk_cancel.worker.state.statuses import row_ended
from bulk_cancel.worker.state.times import time_of

URGENT_TOO_OLD_S: Final = 5.0
"""An urgent order that waits longer for its slot is worth a person's look."""

LANES_ASKED: Final = 20
ORDERS_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Urgent:
    """An urgent order that waits for its slot; `batch` is the urgent one that asked for it first."""

    lane: str
    order: str
    account: str
    batch: str
    waits_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """An account for which nothing is sent: `by` names the operator, "" means that its credentials are refused.

    Refused they may be by themselves, or from the address of every worker.
    """

    account: str
    why: str
    by: str
    since: datetime


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An order that may still be live: its cancel was given up, and no later one has it off the book."""

    order: str
    account: str
    batches: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class NotFlat:
    """A mass cancel that ended, or is on hold (`running`), without its scope being flat; none found it so since.

    `why`: its last trouble.
    """

    batch_id: str
    account: str
    state: str
    why: str


def by_credentials(scope: str, reason: str) -> bool:
    """Whether this rest is of an account whose credentials are refused; `reason` begins with the exchange's code."""
    code = reason.partition(" ")[0]
    of_account = parse_scope(scope)[0] == ScopeKind.ACCOUNT
    return of_account and (not code.isdigit() or lookup(code).verdict is Verdict.CREDENTIALS)


def oldest_urgent(redis: Redis, keys: Keys) -> Urgent | None:
    """Whoever waits longest in front of the urgent lanes; of many lanes the first and the last due are asked."""
    half, board = LANES_ASKED // 2, keys.of("urgent")
    with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.zrange(board, 0, half - 1)
        pipe.zrange(board, -half, -1)
        (seconds, micros), first, last = pipe.execute()
    fronts = _fronts(redis, keys, list(dict.fromkeys([*first, *last])))
    now_s = seconds + micros / 1e6
    asked = _asked(redis, keys, fronts)
    found = (Urgent(lane, job, account, batch, now_s - since_s) for lane, job, account, batch, since_s in asked)
    return max(found, key=lambda urgent: urgent.waits_s, default=None)


def _fronts(redis: Redis, keys: Keys, lanes: Sequence[str]) -> list[tuple[str, str, str, list[str]]]:
    """Lane, job, account and batches of the job in front of each lane."""
    with redis.pipeline(transaction=False) as pipe:
        for lane in lanes:
            pipe.zrange(keys.of("ready", lane), 0, 0)
        fronts = {lane: found[0] for lane, found in zip(lanes, pipe.execute(), strict=True) if found}
    read = dict(read_jobs(redis, keys, list(fronts.values())))
    return [
        (lane, job, read[job].get("account", ""), read[job].get("batches", "").split()) for lane, job in fronts.items()
    ]


def _asked(
    redis: Redis, keys: Keys, fronts: Iterable[tuple[str, str, str, list[str]]]
) -> list[tuple[str, str, str, str, float]]:
    """Lane, job, account, batch and unix time of each urgent batch's asking; a row that ended meanwhile is left out."""
    wanted = [(lane, job, account, batch) for lane, job, account, batches in fronts for batch in batches]
    with redis.pipeline(transaction=False) as pipe:
        for _, job, _, batch in wanted:
            pipe.hget(keys.of("rows", batch), job)
            pipe.hget(keys.of("batch", batch), "urgent")
        read = iter(pipe.execute())
    return [
        (*each, int(row.split(" ")[1]) / 1e6)
        for each, row, urgent in zip(wanted, read, read, strict=True)
        if urgent == "1" and row and not row_ended(row)
    ]


def pauses(redis: Redis, keys: Keys, accounts: Mapping[str, str]) -> list[Pause]:
    """The paused ones of these accounts (name → uid), by name."""
    scopes = [scope for name, uid in sorted(accounts.items()) for scope in (account_scope(name), user_scope(uid))]
    with redis.pipeline(transaction=False) as pipe:
        for scope in scopes:
            pipe.hmget(keys.of("rest", scope), ["reason", "since", "paused"])
        read: list[Any] = pipe.execute()
    names = [name for name in sorted(accounts) for _ in range(2)]
    barred = barred_everywhere(read_workers(redis, keys))
    found = [Pause(name, f"at every worker: {each.why}", "", each.since) for name, each in barred.items()]
    return found + [
        Pause(name, reason or "", by or "", time_of(float(since)))
        for name, scope, (reason, since, by) in zip(names, scopes, read, strict=True)
        if since and (by or by_credentials(scope, reason or ""))
    ]


def refused_lanes(redis: Redis, keys: Keys, *, within_s: float) -> list[tuple[str, datetime]]:
    """Lanes that the exchange refused for speed of late, and when it last did."""
    lanes = [str(lane) for lane, _ in redis.zscan_iter(keys.of("lanes"), count=1000)]
    now_s = int(redis.time()[0])
    with redis.pipeline(transaction=False) as pipe:
        for lane in lanes:
            pipe.hget(keys.of("lane", lane), "refused_at")
        read = pipe.execute()
    found = [(lane, time_of(float(us))) for lane, us in zip(lanes, read, strict=True) if us]
    return [(lane, at) for lane, at in found if now_s - at.timestamp() < within_s]


def may_be_live(redis: Redis, keys: Keys, *, retention_s: int) -> tuple[int, Sequence[GivenUp]]:
    """How many orders may still be live although their cancel ended, and the latest of them."""
    key, since = keys.of("may_be_live"), (redis.time()[0] - retention_s) * 1_000_000
    count = int(redis.zcount(key, since, "+inf"))
    found = redis.zrevrangebyscore(key, "+inf", since, start=0, num=ORDERS_NAMED, withscores=True)
    named = cast("list[tuple[str, float]]", found)
    read = dict(read_jobs(redis, keys, [job for job, _ in named]))
    return count, [
        GivenUp(job, read[job].get("account", ""), tuple(read[job].get("gave_up", "").split()), time_of(float(wall)))
        for job, wall in named
    ]


def not_flat(redis: Redis, keys: Keys) -> list[NotFlat]:
    """Those mass cancels, the latest first."""
    ids = cast("list[str]", redis.zrange(keys.of("not_flat"), 0, -1))[::-1]
    with redis.pipeline(transaction=False) as pipe:
        for batch_id in ids:
            pipe.hmget(keys.of("mass", batch_id), ["account", "state", "trouble"])
        read = pipe.execute()
    found = zip(ids, read, strict=True)
    return [NotFlat(batch_id, raw[0], raw[1], raw[2] or "") for batch_id, raw in found if raw[0]]
