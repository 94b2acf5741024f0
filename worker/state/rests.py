"""Reads what rests or is paused, why and until when; changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, cast

from redis import Redis

from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.directory import AccountInfo
from bulk_cancel.worker.state.ids import uid_of
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.scopes import account_scope, exchange_scope, lane_scope, parse_scope
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.times import time_of

_CHUNK: Final = 500
"""Scopes read at once."""
_FIELDS: Final = ("until", "reason", "since", "paused")


@dataclass(frozen=True, slots=True)
class Clock:
    """The verbs' clock and the wall clock, both µs; nothing is sent before `blocked_until`.

    `blocked_for` says why, if it is not for a restart of Redis.
    """

    now: int
    wall: int
    blocked_until: int
    blocked_for: str = ""

    def at(self, us: int) -> datetime:
        """When it is `us` by the verbs' clock."""
        return time_of(us - self.now + self.wall)


@dataclass(frozen=True, slots=True)
class Rest:
    """A scope (`lane:…`, `user:…`, `account:…`, `exchange:…`, `redis`) that may not be sent for.

    `probing`: one call tries. A scope that an operator paused has `paused_by`, no end, and the accounts it holds back.
    """

    scope: str
    reason: str
    until: datetime | None
    probing: bool = False
    since: datetime | None = None
    paused_by: str = ""
    accounts: tuple[str, ...] = ()


def read_clock(redis: Redis, keys: Keys) -> Clock:
    """What time it is, by both clocks; raises redis-py's errors."""
    seconds, micros = redis.time()
    wall = seconds * 1_000_000 + micros
    saved = redis.hmget(keys.of("clock"), ["last", "skew", "blocked_until", "blocked_for"])
    *times, blocked_for = cast("list[str | None]", saved)
    last, skew, blocked = (int(value or 0) for value in times)
    return Clock(max(last, wall + skew), wall, blocked, blocked_for or "")


def read_rests(store: Store, clock: Clock, accounts: Mapping[str, AccountInfo], lanes: list[str]) -> Iterator[Rest]:
    """Every scope that rests now; raises redis-py's errors."""
    scopes = _scopes(store, accounts, lanes)
    for chunk in chunks(scopes, _CHUNK):
        with store.redis.pipeline(transaction=False) as pipe:
            for scope in chunk:
                pipe.hmget(store.keys.of("rest", scope), _FIELDS)
            read = pipe.execute()
        for scope, raw in zip(chunk, read, strict=True):
            if raw[0]:
                yield _rest(scope, raw, clock, accounts)


def read_pauses(store: Store, account: str) -> list[Rest]:
    """The pauses that hold back the account, or a lane of its User ID; raises redis-py's errors."""
    rests = read_rests(store, read_clock(store.redis, store.keys), store.directory.all(), [])
    return [rest for rest in rests if account in rest.accounts]


def _scopes(store: Store, accounts: Mapping[str, AccountInfo], lanes: list[str]) -> list[str]:
    """Those that may rest by themselves, then whatever an operator paused: its lane may be forgotten."""
    own = [*_addresses(store.settings), *map(account_scope, accounts), *map(lane_scope, lanes)]
    paused = sorted(map(str, store.redis.smembers(store.keys.of("paused"))))
    return list(dict.fromkeys([*own, *paused]))


def _addresses(settings: Settings) -> list[str]:
    addresses = {settings.okx_base_url, *map(settings.base_url_of, settings.accounts.values())}
    return [exchange_scope(address) for address in sorted(addresses)]


def _rest(scope: str, raw: Sequence[str | None], clock: Clock, accounts: Mapping[str, AccountInfo]) -> Rest:
    until, since = int(raw[0] or 0), int(raw[2] or 0)
    rest = Rest(scope, raw[1] or "", clock.at(until), since=time_of(since) if since else None)
    if raw[3] is None:
        return replace(rest, probing=until <= clock.now)
    uid = uid_of(parse_scope(scope)[1])
    held = tuple(info.name for info in accounts.values() if info.uid == uid)
    return replace(rest, until=None, paused_by=raw[3], accounts=held)


def blocked_until(redis: Redis, keys: Keys) -> datetime:
    """Until when a restart of Redis forbids (or last forbade) sending; the epoch if never. Raises redis-py's errors."""
    clock = read_clock(redis, keys)
    return clock.at(clock.blocked_until) if clock.blocked_until else time_of(0)
