"""How the dead man's switches of the exchange's users stand, as workers noted it in Redis."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from redis import Redis

from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.rests import Clock, read_clock
from bulk_cancel.worker.state.times import time_of


@dataclass(frozen=True, slots=True)
class Switch:
    """How a user's switch stands: its orders go at `armed_until` (None: off) unless `holder` refreshes it before.

    `ran_out`: when it last was not refreshed in time, so that the exchange cancelled.
    """

    uid: str
    holder: str
    timeout_s: int
    armed_until: datetime | None
    refreshed_at: datetime | None
    ran_out: datetime | None


def read_switches(redis: Redis, keys: Keys, uids: Iterable[str]) -> list[Switch]:
    """The switches of these users that were ever armed, within a day; raises redis-py's errors."""
    wanted, clock = sorted(set(uids)), read_clock(redis, keys)
    fields = ("holder", "timeout_s", "armed_until", "refreshed", "ran_out")
    with redis.pipeline(transaction=False) as pipe:
        for uid in wanted:
            pipe.hmget(keys.of("switch", uid), *fields)
        read = pipe.execute()
    return [_switch(uid, fields, clock) for uid, fields in zip(wanted, read, strict=True) if fields[1]]


def _switch(uid: str, fields: Sequence[str | None], clock: Clock) -> Switch:
    holder, timeout_s, *times = fields
    armed_until, refreshed, ran_out = (int(us or 0) for us in times)
    return Switch(
        uid,
        holder or "",
        int(timeout_s or 0),
        clock.at(armed_until) if armed_until else None,
        clock.at(refreshed) if refreshed else None,
        time_of(ran_out) if ran_out else None,
    )
