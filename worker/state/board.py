"""The waker's view of the board, and the upkeep that keeps its promises about once a second."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

from redis import Redis

from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.claims import Exhausted
from bulk_cancel.worker.state.ids import JobId, lane_of
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.lanes import exhausted_in
from bulk_cancel.worker.state.lease import take_lease
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.statuses import row_ended

BOOKS_PER_ROUND: Final = 100
"""Users and mass cancels that one waker takes at once."""

POSTPONE_US: Final = 1_000_000
"""A lane that was taken, but got no turn, is due again after this."""

IDLE_US: Final = 86_400_000_000
"""A lane without work is forgotten a day after its last admission; its counters stay for a week."""

SWEPT: Final = 1000
"""Lanes in one run of `repair`, some 10 ms of Redis for which no call waits; also what one step of a scan returns."""

EXPIRED: Final = 200
"""Jobs in one run of `expire`: 5 ms of Redis, for each job's end writes rows, counters and an outcome."""

OVERDUE: Final = 20
"""Batches that one sweep reads; the others' turn is a second later, once it has put lost lanes back again."""

SWEEP_LEASE_S: Final = 0.95
"""A little less than the second between two sweeps: whoever swept may be the first to ask again."""

QUIET_US: Final = 5_000_000
"""A batch past its deadline of which nothing could end (it waits for the book) is read again after this."""

WORKER_GONE_S: Final = 10
"""A worker that has not said for so long that it lives is no longer listed."""

OF_THE_FLEET: Final = ("release", "formats")
"""What of a worker's report matters to the other runners on this Redis."""


@dataclass(frozen=True, slots=True)
class Due:
    """Lanes to drain now, urgent ones first, users whose book is to be looked at, mass cancels and surveys to take up.

    `next_s` are the seconds until the next is due (None: the board is empty). `more`: lanes are due for which there was
    no room; `next_s` is that of books and mass cancels then.
    """

    lanes: tuple[str, ...]
    users: tuple[str, ...]
    masses: tuple[str, ...]
    next_s: float | None
    more: bool = False
    surveys: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """There was something to do; there may be more."""
        return bool(self.lanes or self.users or self.masses or self.surveys)


class Board:
    """The board of one runner; raises redis-py's errors. A job that nobody confirms for `abandon_s` is given up."""

    def __init__(
        self, redis: Redis, scripts: Scripts, keys: Keys, *, retention_s: int, blackout_us: int, abandon_s: float
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys
        self._retention_s = retention_s
        self._blackout_us = blackout_us
        self._abandon_us = round(abandon_s * 1e6)

    def wake(self, room: int, *, books: bool = True) -> Due:
        """Takes what is due, `room` lanes at most, and no book to be read if not `books`; it is ours for a second."""
        argument = {
            "room": room,
            "count": BOOKS_PER_ROUND if books else 0,
            "postpone_us": POSTPONE_US,
            "blackout_us": self._blackout_us,
        }
        reply = self._scripts.run("wake", argument)
        next_s = None if reply["next"] < 0 else reply["next"] / 1e6
        named = {name: tuple(reply[name]) for name in ("lanes", "users", "masses", "surveys")}
        return Due(**named, next_s=next_s, more=reply["more"])

    def listen(self, timeout_s: float) -> bool:
        """Waits for the bell; False after `timeout_s`, or up to 0.1 s later: Redis looks when it has time."""
        return self._redis.blpop([self._keys.of("bell")], timeout=timeout_s) is not None

    def beat(self, worker: str, facts: Mapping[str, object]) -> None:
        """Says that this worker lives, and forgets those that have not said so for long."""
        known = {name: facts[name] for name in OF_THE_FLEET if name in facts}
        said = {"worker": worker, "facts": json.dumps(dict(facts)), "gone_s": WORKER_GONE_S}
        self._scripts.run("beat", {**said, "name": self._name(worker), "known": json.dumps(known)})

    def leave(self, worker: str) -> None:
        """Says that this worker has ended."""
        self._redis.hdel(self._keys.of("workers"), worker)
        self._redis.hdel(self._keys.of("fleet"), self._name(worker))

    def _name(self, worker: str) -> str:
        """Among the workers of all runners on this Redis."""
        return f"{self._keys.prefix} {worker}"

    def may_sweep(self) -> bool:
        """True for one worker of the runner each second."""
        return take_lease(self._scripts, "sweep", for_s=SWEEP_LEASE_S)

    def sweep(self) -> list[Exhausted]:
        """Ends what is past its deadline, puts lost lanes back; returns the jobs that it ended."""
        self._repair()
        return [ended for batch in self._overdue() for ended in self._expire(batch)]

    def _repair(self) -> None:
        lanes: list[str] = [lane for lane, _ in self._redis.zscan_iter(self._keys.of("lanes"), count=SWEPT)]
        for chunk in chunks(lanes, SWEPT):
            self._scripts.run("repair", {"lanes": chunk, "idle_us": IDLE_US})

    def _overdue(self) -> list[str]:
        now = str(self._redis.hget(self._keys.of("clock"), "last") or 0)
        found = self._redis.zrangebyscore(self._keys.of("deadlines"), "-inf", now, start=0, num=OVERDUE)
        return cast("list[str]", found)

    def _expire(self, batch: str) -> Iterator[Exhausted]:
        for jobs in self._waiting(batch):
            argument = {
                "batch": batch,
                "jobs": jobs,
                "again_us": POSTPONE_US,
                "quiet_us": QUIET_US,
                "abandon_us": self._abandon_us,
                "retention_s": self._retention_s,
            }
            yield from exhausted_in(self._scripts.run("expire", argument))

    def _waiting(self, batch: str) -> Iterator[list[dict[str, str]]]:
        """The batch's waiting jobs with their lanes, in parts; at least one, so that it is looked at again."""
        chunk: list[dict[str, str]] = []
        for job, row in self._redis.hscan_iter(self._keys.of("rows", batch), count=SWEPT):
            if not row_ended(row):
                chunk.append(_with_lane(job))
            if len(chunk) == EXPIRED:
                yield chunk
                chunk = []
        yield chunk


def _with_lane(job: str) -> dict[str, str]:
    order = JobId.parse(job)
    return {"id": job, "lane": lane_of(order.uid, order.inst_id)}
