"""What operators may decide while orders wait: withdraw, retry, pause, resume. Each may be repeated.

Large batches go in steps of `CHUNK` orders, so that no verb holds Redis for long. What an interrupted command has done
holds; the same command again does the rest.
"""

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from redis.exceptions import ResponseError

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.tasks.errors import (
    BulkCancelError,
    InvalidOrders,
    MovedAccountError,
    RedisFullError,
    UnknownAccountError,
    UnknownBatchError,
    UnsealedBatchError,
)
from bulk_cancel.tasks.faults import faults_in
from bulk_cancel.tasks.messages import Text, Whole, refuse
from bulk_cancel.tasks.outcomes import BatchState, Retried, Withdrawn
from bulk_cancel.worker.books.mass.by_operator import ask_call_off
from bulk_cancel.worker.operators.matching import Filter, Match
from bulk_cancel.worker.operators.served import Where, ask_served, not_told
from bulk_cancel.worker.operators.targets import Target, Targets
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


@dataclass(frozen=True, slots=True)
class Asked:
    """Who decides, and why; both are kept with the decision."""

    by: Text
    reason: Text = ""


def _not_empty(statuses: tuple[Again, ...]) -> tuple[Again, ...]:
    return statuses or refuse("should name one at least; leave it out for rejected and exhausted")


@dataclass(frozen=True, slots=True)
class Renewal:
    """Which orders go again, by how they ended, and for how long; `deadline_s` None: as long as the batch had."""

    statuses: Annotated[tuple[Again, ...], AfterValidator(_not_empty)] = RETRIED
    deadline_s: Annotated[Whole, Field(ge=1, le=86_400)] | None = None


_ASKED: Final = TypeAdapter(Asked)
_RENEWAL: Final = TypeAdapter(Renewal)


def asked_of(by: str, reason: str) -> Asked:
    """Who decides and why, as a caller says it; raises InvalidOrders with a line for each fault."""
    try:
        return _ASKED.validate_python({"by": by, "reason": reason})
    except ValidationError as error:
        raise InvalidOrders(faults_in(error)) from None


def renewal_of(statuses: object, deadline_s: object) -> Renewal:
    """What goes again, as a caller says it; raises InvalidOrders with a line for each fault."""
    try:
        return _RENEWAL.validate_python({"statuses": statuses, "deadline_s": deadline_s})
    except ValidationError as error:
        raise InvalidOrders(faults_in(error)) from None


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

    `where` finds the shard of an account that is not here any more. Raises UnknownBatchError, UnknownAccountError,
    UnknownLaneError and redis-py's errors.
    """

    def __init__(self, store: Store, where: Where = not_told) -> None:
        self._store = store
        self._where = where
        self._redis = store.redis
        self._keys = store.keys
        self._scripts = store.scripts
        self._batches = store.batches
        self._targets = Targets(store)
        self._deadline_s = store.settings.deadline_s
        self._retention_s = store.settings.retention_s

    def withdraw(self, batch_id: str, asked: Asked) -> Withdrawn:
        """Takes the batch back from every order that was not sent; a mass cancel finds nothing more."""
        return answered(self.ask_withdraw(batch_id, asked))

    def ask_withdraw(self, batch_id: str, asked: Asked) -> Asking[Withdrawn]:
        """As `withdraw`, over either client."""
        if (yield from self._batches.ask_state(batch_id)).mass:
            yield from ask_call_off(self._scripts, batch_id, by=asked.by, reason=asked.reason)
        rows = yield from self._batches.ask_raw(batch_id)
        waiting = [job for job, row in rows.items() if not row_ended(row)]
        done = yield from self._withdraw(batch_id, asked, waiting)
        return replace(done, ended=len(rows) - len(waiting) + done.ended)

    def withdraw_matching(self, match: Match, asked: Asked, wanted: Filter) -> Withdrawn:
        """Takes the batch back from those of the orders that were not sent; a mass cancel goes on."""
        return answered(self._withdraw(match.state.batch_id, asked, [*match.rows], wanted))

    def retry(
        self,
        batch_id: str,
        asked: Asked,
        *,
        statuses: Sequence[Again] = RETRIED,
        deadline_s: int | None = None,
    ) -> Retried:
        """Lets the orders that ended in one of `statuses` go again, for `deadline_s` or as long as the batch had.

        Raises UnsealedBatchError, MovedAccountError on a shard that does not have its account any more, and
        RedisFullError when Redis has no room for more work.
        """
        return answered(self.ask_retry(batch_id, asked, statuses=statuses, deadline_s=deadline_s))

    def ask_retry(
        self, batch_id: str, asked: Asked, *, statuses: Sequence[Again] = RETRIED, deadline_s: int | None = None
    ) -> Asking[Retried]:
        """As `retry`, over either client."""
        state = yield from self._batches.ask_state(batch_id)
        if not state.sealed:
            raise UnsealedBatchError(state)
        again = _ended_as((yield from self._batches.ask_raw(batch_id)), statuses)
        fields = {"statuses": list(statuses), "deadline_s": deadline_s, "filter": ""}
        return (yield from self._retry(state, asked, again, **fields))

    def refuses(self, match: Match) -> BulkCancelError | None:
        """Why none of the orders may go again now; None: they may."""
        if not match.state.sealed:
            return UnsealedBatchError(match.state)
        try:
            answered(ask_served(self._store, match.state, match.rows, self._where))
        except (MovedAccountError, UnknownAccountError) as error:
            return error
        return None

    def retry_matching(
        self, match: Match, asked: Asked, wanted: Filter, *, statuses: Sequence[Again], deadline_s: int | None = None
    ) -> Retried:
        """Lets those of the orders go again that still stand as they did; raises as `retry` does."""
        chosen_by = json.dumps(wanted.asked | {"status": statuses})
        fields = {"statuses": list(statuses), "deadline_s": deadline_s, "filter": chosen_by}
        return answered(self._retry(match.state, asked, [*match.rows], **fields))

    def pause(self, name: str, asked: Asked) -> Paused:
        """Nothing more is sent for the account's User ID, or in the lane (a name with `/`), until it is resumed."""
        target = self._targets.find(name)
        facts = json.dumps({"accounts": target.accounts})
        said = answered(self._decide("pause", asked, scope=target.scope, account=target.account, facts=facts))
        return Paused(target, said["changed"], said["by"], said["reason"], time_of(said["since"]))

    def resume(self, name: str, asked: Asked) -> Resumed:
        """Ends a pause, and whatever else of the account's credentials or of the lane rests: it is tried at once."""
        target = self._targets.find(name)
        said = answered(self._decide("resume", asked, scopes=target.rests, account=target.account))
        ended = (Rested(e["scope"], e["by"], e["reason"], time_of(e["since"])) for e in said["ended"])
        return Resumed(target, tuple(ended))

    def _withdraw(
        self, batch_id: str, asked: Asked, jobs: Sequence[str], wanted: Filter | None = None
    ) -> Asking[Withdrawn]:
        chosen_by = json.dumps(wanted.asked) if wanted else ""
        replies = yield from self._in_steps("withdraw", asked, jobs, batch=batch_id, filter=chosen_by)
        count, state = _sums(replies), (yield from self._batches.ask_state(batch_id))
        return Withdrawn(count["withdrawn"], count["sent"], count["ended"], state)

    def _retry(self, batch: BatchState, asked: Asked, jobs: Sequence[str], **fields: object) -> Asking[Retried]:
        """`fields` of the verb: deadline_s (None: as long as the batch had), statuses, filter."""
        yield from ask_served(self._store, batch, jobs, self._where)
        batch_id = batch.batch_id
        fields["deadline_s"] = fields["deadline_s"] or (yield from self._deadline_of(batch_id))
        try:
            replies = yield from self._in_steps("retry", asked, jobs, batch=batch_id, **fields)
        except ResponseError as error:
            raise _told(error, batch_id) from error
        said = {reply["status"] for reply in replies}
        if "unknown" in said:
            raise UnknownBatchError(batch_id)
        state = yield from self._batches.ask_state(batch_id)
        if "unsealed" in said:
            raise UnsealedBatchError(state)
        count = _sums(replies)
        return Retried(count["opened"], count["joined"], count["remembered"], state)

    def _deadline_of(self, batch_id: str) -> Asking[int]:
        known = yield self._redis.hget(self._keys.of("batch", batch_id), "deadline_s")
        return int(known or self._deadline_s)

    def _in_steps(self, verb: str, asked: Asked, jobs: Sequence[str], **fields: object) -> Asking[list[dict[str, Any]]]:
        fields["decision"], replies = uuid.uuid4().hex, []
        for step, chunk in enumerate(chunks(jobs, CHUNK)):
            with_lanes = [_with_lane(job) for job in chunk]
            replies.append((yield from self._decide(verb, asked, step=step, jobs=with_lanes, **fields)))
        return replies

    def _decide(self, verb: str, asked: Asked, **fields: object) -> Asking[dict[str, Any]]:
        own = {"decision": uuid.uuid4().hex, "step": 0, "by": asked.by, "reason": asked.reason}
        return self._scripts.ask(verb, {**own, "retention_s": self._retention_s, **fields})


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
