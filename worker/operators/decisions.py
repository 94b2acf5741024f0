"""What operators may decide while orders wait: withdraw, retry, pause, resume. Each may be repeated.

Large batches go in steps of `CHUNK` orders, so that no verb holds Redis for long. What an interrupted command has done
holds; the same command again does the rest.
"""

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from redis.exceptions import ResponseError

from bulk_cancel.tasks.errors import BulkCancelError, RedisFullError
from bulk_cancel.worker.books.mass.masses import call_off
from bulk_cancel.worker.operators.targets import Target, Targets
from bulk_cancel.worker.state.batches import BatchState, UnknownBatchError
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.redis_errors import is_full
from bulk_cancel.worker.state.statuses import DEAD, Again, row_ended
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.times import time_of

CHUNK: Final = 250
"""Orders per run of `withdraw` or `retry`: some ten milliseconds of Redis."""


RETRIED: Final = tuple(map(Again, DEAD))
"""What goes again unless an operator says otherwise: not what an operator withdrew."""


class UnsealedBatchError(BulkCancelError):
    """Not all orders of the batch were handed in yet."""

    def __init__(self, state: BatchState) -> None:
        if state.mass:
            super().__init__(f"mass cancel {state.batch_id!r} still runs, and lets its orders go again by itself")
            return
        super().__init__(
            f"batch {state.batch_id!r} is not handed in completely ({state.size:,} orders were announced): submit the "
            "same batch again first, then retry"
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """Who decides, and why; both are kept with the decision."""

    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Orders `withdrawn` by this call, `sent` already (too late), and `ended` before; the batch `state` afterwards."""

    withdrawn: int
    sent: int
    ended: int
    state: BatchState


@dataclass(frozen=True, slots=True)
class Retried:
    """Orders that wait again: `opened` anew, `joined` another batch's effort; `remembered`: off the book already."""

    opened: int
    joined: int
    remembered: int
    state: BatchState

    @property
    def changed(self) -> int:
        """Orders whose row changed."""
        return self.opened + self.joined + self.remembered


@dataclass(frozen=True, slots=True)
class Paused:
    """The pause that holds now; `changed` is False when it held before."""

    target: Target
    changed: bool
    by: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Rested:
    """A rest that was ended; `by` is empty if nobody had paused it."""

    scope: str
    by: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Resumed:
    """What rested before; empty if nothing did."""

    target: Target
    ended: tuple[Rested, ...]


class Decisions:
    """What operators may decide on one runner. `DEADLINE_S` is for batches that have no deadline of their own.

    Raises UnknownBatchError, UnknownAccountError, UnknownLaneError and redis-py's errors.
    """

    def __init__(self, store: Store) -> None:
        self._redis = store.redis
        self._keys = store.keys
        self._scripts = store.scripts
        self._batches = store.batches
        self._targets = Targets(store)
        self._deadline_s = store.settings.deadline_s
        self._retention_s = store.settings.retention_s

    def withdraw(self, batch_id: str, asked: Asked) -> Withdrawn:
        """Takes the batch back from every order that was not sent."""
        if self._batches.state(batch_id).mass:
            call_off(self._scripts, batch_id, by=asked.by, reason=asked.reason)
        rows = self._rows(batch_id)
        waiting = [job for job, row in rows.items() if not row_ended(row)]
        replies = self._in_steps("withdraw", asked, waiting, batch=batch_id)
        count = _sums(replies)
        ended = len(rows) - len(waiting) + count["ended"]
        return Withdrawn(count["withdrawn"], count["sent"], ended, self._batches.state(batch_id))

    def retry(
        self,
        batch_id: str,
        asked: Asked,
        *,
        statuses: Sequence[Again] = RETRIED,
        deadline_s: int | None = None,
    ) -> Retried:
        """Lets the orders that ended in one of `statuses` go again, for `deadline_s` or as long as the batch had.

        Raises UnsealedBatchError, and RedisFullError when Redis has no room for more work.
        """
        state = self._batches.state(batch_id)
        if not state.sealed:
            raise UnsealedBatchError(state)
        again = _ended_as(self._rows(batch_id), statuses)
        seconds = deadline_s or self._deadline_of(batch_id)
        try:
            replies = self._in_steps("retry", asked, again, batch=batch_id, statuses=list(statuses), deadline_s=seconds)
        except ResponseError as error:
            raise _told(error, batch_id) from error
        if any(reply["status"] == "unknown" for reply in replies):
            raise UnknownBatchError(batch_id)
        count = _sums(replies)
        return Retried(count["opened"], count["joined"], count["remembered"], self._batches.state(batch_id))

    def pause(self, name: str, asked: Asked) -> Paused:
        """Nothing more is sent for the account's User ID, or in the lane (a name with `/`), until it is resumed."""
        target = self._targets.find(name)
        facts = json.dumps({"accounts": target.accounts})
        said = self._decide("pause", asked, scope=target.scope, account=target.account, facts=facts)
        return Paused(target, said["changed"], said["by"], said["reason"], time_of(said["since"]))

    def resume(self, name: str, asked: Asked) -> Resumed:
        """Ends a pause, and whatever else of the account's credentials or of the lane rests: it is tried at once."""
        target = self._targets.find(name)
        said = self._decide("resume", asked, scopes=target.rests, account=target.account)
        ended = (Rested(e["scope"], e["by"], e["reason"], time_of(e["since"])) for e in said["ended"])
        return Resumed(target, tuple(ended))

    def _rows(self, batch_id: str) -> dict[str, str]:
        return dict(self._redis.hscan_iter(self._keys.of("rows", batch_id), count=1000))

    def _deadline_of(self, batch_id: str) -> int:
        return int(str(self._redis.hget(self._keys.of("batch", batch_id), "deadline_s") or self._deadline_s))

    def _in_steps(self, verb: str, asked: Asked, jobs: Sequence[str], **fields: object) -> list[dict[str, Any]]:
        decision = uuid.uuid4().hex
        return [
            self._decide(verb, asked, decision=decision, step=step, jobs=[_with_lane(job) for job in chunk], **fields)
            for step, chunk in enumerate(chunks(jobs, CHUNK))
        ]

    def _decide(self, verb: str, asked: Asked, **fields: object) -> dict[str, Any]:
        own = {"decision": uuid.uuid4().hex, "step": 0, "by": asked.by, "reason": asked.reason}
        return self._scripts.run(verb, {**own, "retention_s": self._retention_s, **fields})


def _ended_as(rows: Mapping[str, str], statuses: Sequence[Again]) -> list[str]:
    """The jobs whose rows ended in one of `statuses`, in the order in which they were handed in."""
    ended = ((job, json.loads(row)) for job, row in rows.items() if row_ended(row))
    places = {job: row["n"] for job, row in ended if row["status"] in statuses}
    return sorted(places, key=lambda job: int(places[job]))


def _with_lane(job: str) -> dict[str, str]:
    return {"id": job, "lane": JobId.parse(job).lane}


def _sums(replies: Sequence[Mapping[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for reply in replies:
        total.update({name: value for name, value in reply.items() if name != "status"})
    return total


def _told(error: ResponseError, batch_id: str) -> Exception:
    if not is_full(error):
        return error
    return RedisFullError(
        f"Redis is full (maxmemory): not all orders of batch {batch_id!r} could go again; raise maxmemory, then give "
        "the same command again"
    )
