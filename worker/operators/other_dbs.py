"""Finds other dbs of this Redis that hold windows of a runner: the limits are shared within one db alone."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis import Redis

from bulk_cancel.worker.config.urls import state_form
from bulk_cancel.worker.operators.point import Point
from bulk_cancel.worker.state.store import Store

_NO_KEY: Final = -2
"""What PTTL says of a key that is not there. EXISTS would be one more right of a Redis user, for this alone."""


def other_dbs(store: Store) -> list[Point]:
    """The point, or none behind Sentinel; raises redis-py's errors."""
    url = store.settings.redis_url.get_secret_value()
    if url.startswith("sentinel:"):
        return []
    ours = int(store.redis.connection_pool.connection_kwargs.get("db", 0))
    others = [db for db in filled(store.redis.info("keyspace")) if db != ours]
    return [windows_point(ours, [db for db in others if _has_windows(url, db, store.keys.of("clock"))])]


def filled(keyspace: Mapping[str, Any]) -> list[int]:
    """Pure: the dbs that hold keys, by what INFO says of them."""
    return [int(name[2:]) for name in keyspace if name.startswith("db") and name[2:].isdigit()]


def windows_point(ours: int, others: Sequence[int]) -> Point:
    """Pure: a runner in another db counts its calls apart; whether it still works cannot be seen from here."""
    if not others:
        return Point("windows", "ok", f"no other db of this Redis than {ours} holds windows")
    named = ", ".join(map(str, others))
    mend = (
        "runners that share a User ID share one db, each with a KEY_PREFIX of its own; empty a db that no runner uses"
    )
    return Point("windows", "warn", f"windows in db {named} too: those runners do not share the limits with ours", mend)


def _has_windows(url: str, db: int, clock: str) -> bool:
    with Redis.from_url(
        state_form(url), single_connection_client=True, socket_timeout=2, socket_connect_timeout=1, driver_info=None
    ) as client:
        client.select(db)
        return int(client.pttl(clock)) != _NO_KEY
