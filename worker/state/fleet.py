"""Reads the last report of each worker: whether it is alive, and what keeps it from sending."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from redis import Redis

from bulk_cancel.worker.state.keys import Keys

START_WORKER: Final = "celery -A bulk_cancel.worker worker"
"""What starts one, in every message that says that none runs."""

WORKER_LATE_S: Final = 5
"""A worker reports itself about once a second; one that has not for this long is not counted as alive."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker's last report, `late_s` seconds ago; `problems`: what does not work → why; serves `accounts`."""

    name: str
    late_s: float
    in_flight: int
    permits: int
    started_at: datetime
    problems: Mapping[str, str]
    accounts: tuple[str, ...] = ()

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
    )


def troubles(workers: Iterable[Worker], accounts: Iterable[str]) -> list[str]:
    """What of the workers keeps these accounts' orders waiting, a line each; nothing while all is well."""
    alive = [worker for worker in workers if worker.alive]
    if not alive:
        return ["no worker is alive"]
    served = {name for worker in alive for name in worker.accounts}
    unserved = [f"no worker that is alive serves account {name}" for name in sorted({*accounts} - served)]
    problems = {f"{name}: {why}" for worker in alive for name, why in worker.problems.items()}
    return [*unserved, *sorted(problems)]
