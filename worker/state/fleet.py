"""Reads the last report of each worker: whether it is alive, what it is, and what keeps it from sending."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from redis import Redis

from bulk_cancel.worker.state.formats import KINDS, OF_1_0, Formats, Marks, Reads, mark_fields, marks_in
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.times import time_of

START_WORKER: Final = "celery -A bulk_cancel.worker worker"
"""What starts one, in every message that says that none runs."""

WORKER_LATE_S: Final = 5
"""A worker reports itself about once a second; one that has not for this long is not counted as alive."""


@dataclass(frozen=True, slots=True)
class Barred:
    """Why the exchange does not let an account in from a worker's address, in its words, and since when."""

    why: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker's last report, `late_s` seconds ago; `problems`: what does not work → why; serves `accounts`.

    `formats`: what it reads of each kind of state; it writes what is marked.
    """

    name: str
    late_s: float
    in_flight: int
    permits: int
    started_at: datetime
    problems: Mapping[str, str]
    accounts: tuple[str, ...] = ()
    barred: Mapping[str, Barred] = field(default_factory=dict)
    """Those of its accounts that are not let in from its address."""
    release: str = ""
    formats: Formats = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """It has reported itself of late."""
        return self.late_s <= WORKER_LATE_S


def read_workers(redis: Redis, keys: Keys) -> list[Worker]:
    """Every worker that has reported itself in the last seconds, by name; raises redis-py's errors."""
    now = int(redis.time()[0])
    beats = cast("Mapping[str, str]", redis.hgetall(keys.of("workers")))
    return [_worker(name, json.loads(beat), now) for name, beat in sorted(beats.items())]


def _worker(name: str, beat: Mapping[str, Any], now: int) -> Worker:
    return Worker(
        name=name,
        late_s=max(0, now - beat["at"]),
        in_flight=int(beat["in_flight"]),
        permits=int(beat["permits"]),
        started_at=datetime.fromtimestamp(beat["started"], UTC),
        problems=beat["problems"],
        accounts=tuple(beat.get("accounts", ())),
        barred={name: Barred(why, time_of(since * 1e6)) for name, (why, since) in beat.get("barred", {}).items()},
        release=beat.get("release", "1.0"),
        formats={kind: Reads(*beat.get("formats", {}).get(kind, OF_1_0)) for kind in KINDS},
    )


def read_marks(redis: Redis, keys: Keys) -> Marks:
    """The formats that are marked; raises redis-py's errors."""
    return marks_in(cast("list[str | None]", redis.hmget(keys.of("formats"), mark_fields(keys.prefix))))


def troubles(workers: Iterable[Worker], accounts: Iterable[str]) -> list[str]:
    """What of the workers keeps these accounts' orders waiting, a line each; nothing while all is well."""
    alive = [worker for worker in workers if worker.alive]
    if not alive:
        return ["no worker is alive"]
    served = {name for worker in alive for name in worker.accounts}
    unserved = [f"no worker that is alive serves account {name}" for name in sorted({*accounts} - served)]
    problems = {f"{name}: {why}" for worker in alive for name, why in worker.problems.items()}
    return [*unserved, *sorted(problems)]


def barred_everywhere(workers: Iterable[Worker]) -> dict[str, Barred]:
    """The accounts that are let in from no address of the workers that are alive, each with the latest refusal."""
    alive = [worker for worker in workers if worker.alive]
    names = {name for worker in alive for name in worker.barred}
    serving = {name: [worker for worker in alive if name in worker.accounts] for name in sorted(names)}
    return {
        name: max((worker.barred[name] for worker in theirs), key=lambda barred: barred.since)
        for name, theirs in serving.items()
        if theirs and all(name in worker.barred for worker in theirs)
    }
