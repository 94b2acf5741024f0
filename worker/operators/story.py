"""The story of a batch in order: decisions about it, its account and its lanes, and its completions."""

from collections.abc import Iterator
from functools import cached_property

from redis import Redis

from bulk_cancel.worker.operators.audit import BEGINNINGS, Audit, Decision
from bulk_cancel.worker.state.batches import Batches, BatchState, UnknownBatchError
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.scopes import lane_scope, user_scope
from bulk_cancel.worker.state.times import time_of


def read_story(redis: Redis, keys: Keys, audit: Audit, batches: Batches, batch_id: str) -> list[Decision]:
    """The batch's story, the oldest first; raises UnknownBatchError and redis-py's errors.

    It begins with pauses that held when the batch came. The event `completed` has `counts` by outcome in its facts, and
    `listed`, the end of a mass cancel, its `state`.
    """
    try:
        state = batches.state(batch_id)
    except UnknownBatchError:
        told = [decision for decision in audit.read() if decision.batch_id == batch_id]
        if not told:
            raise
        return told
    reach = _Reach(redis, keys, state)
    told = [*_decisions(audit, state, reach), *_completed(state)]
    if state.mass:
        told += _listed(redis, keys, state)
    return sorted(told, key=lambda decision: decision.at)


class _Reach:
    """Which scopes hold the orders of a batch: read once, and only if some decision is about a scope."""

    def __init__(self, redis: Redis, keys: Keys, state: BatchState) -> None:
        self._redis = redis
        self._rows = keys.of("rows", state.batch_id)

    @cached_property
    def scopes(self) -> frozenset[str]:
        """`user:<uid>` and `lane:<lane>` of every order."""
        jobs = (JobId.parse(str(job)) for job, _ in self._redis.hscan_iter(self._rows, count=1000))
        places = {(job.uid, job.lane) for job in jobs}
        return frozenset({scope for uid, lane in places for scope in (user_scope(uid), lane_scope(lane))})


def _decisions(audit: Audit, state: BatchState, reach: _Reach) -> Iterator[Decision]:
    standing: dict[str, Decision] = {}
    submitted = False
    for decision in audit.read():
        if decision.batch_id == state.batch_id:
            submitted = submitted or decision.event in BEGINNINGS
            yield from _with_completion(decision)
        elif decision.scope and not _later(decision, state) and decision.scope in reach.scopes:
            yield from _meanwhile(decision, state, standing)
    yield from standing.values()
    if not submitted:  # the stream is trimmed by age, a batch is kept from its completion on
        yield _submission(state)


def _later(decision: Decision, state: BatchState) -> bool:
    return state.completed_at is not None and decision.at > state.completed_at


def _meanwhile(decision: Decision, state: BatchState, standing: dict[str, Decision]) -> Iterator[Decision]:
    """What was decided about the batch's scopes while it waited; before, only a pause that still held counts."""
    if decision.at >= state.created_at:
        yield decision
    elif decision.event == "pause":
        standing[decision.scope] = decision
    else:
        standing.pop(decision.scope, None)


def _with_completion(decision: Decision) -> Iterator[Decision]:
    """A retry tells how the batch stood when it was complete before."""
    before = decision.facts.get("before")
    if before:
        yield Decision(before["at"], "completed", batch_id=decision.batch_id, facts={"counts": before["counts"]})
    yield decision


def _completed(state: BatchState) -> Iterator[Decision]:
    if state.completed_at:
        counts = {status: count for status, count in state.counts.items() if count}
        yield Decision(state.completed_at, "completed", batch_id=state.batch_id, facts={"counts": counts})


def _listed(redis: Redis, keys: Keys, state: BatchState) -> Iterator[Decision]:
    """How a mass cancel ended, unless an operator ended it."""
    told, ended = redis.hmget(keys.of("mass", state.batch_id), ["state", "ended"])
    if ended and told not in {"withdrawn", "released"}:
        yield Decision(time_of(int(ended)), "listed", batch_id=state.batch_id, facts={"state": told})


def _submission(state: BatchState) -> Decision:
    facts = {"size": state.size, "urgent": state.urgent, "labels": dict(state.labels)}
    return Decision(
        state.created_at, "submitted", state.requested_by, state.reason, state.batch_id, state.account, facts=facts
    )
