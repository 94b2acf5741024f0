"""The runner as a whole: how it stands, its lanes and accounts, what was decided and what was refused."""

import heapq
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from bulk_cancel.worker.gateway.answers import answer
from bulk_cancel.worker.gateway.callers import Caller
from bulk_cancel.worker.gateway.guard import Reader, Watcher
from bulk_cancel.worker.gateway.parts import Desk, Desks, Runner, whys
from bulk_cancel.worker.gateway.schemas import answers, listed, shape
from bulk_cancel.worker.gateway.sight import Sight, sees_decision
from bulk_cancel.worker.operators.find import find
from bulk_cancel.worker.operators.formats import legible
from bulk_cancel.worker.operators.shapes import batch_json, decision_json, row_json
from bulk_cancel.worker.operators.story import read_story
from bulk_cancel.worker.state.batches import UnknownBatchError
from bulk_cancel.worker.state.rests import Rest
from bulk_cancel.worker.state.shards import TwoShardsError

router = APIRouter(prefix="/v1", tags=["runner"])


class Lanes(StrEnum):
    """Which lanes are told."""

    BUSY = "busy"
    ALL = "all"
    NONE = "none"


@router.get("/status", operation_id="status", responses=answers({200: shape("status")}))
def status(
    runner: Runner,
    caller: Watcher,
    lanes: Annotated[Lanes, Query(description="busy: with work, or resting")] = Lanes.BUSY,
) -> Response:
    """Lanes, rates, workers, what rests and why; at most half a second old."""
    return answer("status", runner_status(runner, caller, lanes.value))


@router.get("/lanes", operation_id="lanes", responses=answers({200: listed("lanes", "lanes")}))
def lanes(
    runner: Runner,
    caller: Watcher,
    *,
    busy: Annotated[bool, Query(description="Only those with work, or resting")] = False,
) -> Response:
    """Every lane: where its orders are, slots used of both windows, calls so far, and what holds it back."""
    seen = runner_status(runner, caller, "busy" if busy else "all")
    return answer("lanes", {name: seen[name] for name in ("lanes", "away") if name in seen})


def runner_status(runner: Desks, caller: Caller, lanes: str) -> dict[str, Any]:
    """The runner as of status/1, as the caller may see it."""
    told = runner.each(lambda desk: desk.snapshot())
    return Sight(caller).standing(told.answers, whys(told.failed) if runner.several else None, lanes=lanes)


@router.get("/accounts", operation_id="accounts", responses=answers({200: listed("accounts", "accounts")}))
def accounts(runner: Runner, caller: Watcher) -> Response:
    """Every account with its User ID, its limits, how many workers serve it, and what rests of it."""
    told = runner.each(lambda desk: _accounts(desk, caller))
    rows = [row for found in told.answers.values() for row in found]
    return answer("accounts", {"accounts": sorted(rows, key=lambda row: row["name"]), **runner.away(told)})


def _accounts(desk: Desk, caller: Caller) -> list[dict[str, Any]]:
    snapshot = desk.snapshot()
    told = []
    for info in desk.store.directory.all().values():
        if caller.sees(info.name):
            serving = sum(worker.alive and info.name in worker.accounts for worker in snapshot.workers)
            more = {"workers": serving, "rests": _rests(info.name, info.uid, snapshot.rests)}
            told.append(desk.row(asdict(info) | more))
    return told


def _rests(account: str, uid: str, rests: Sequence[Rest]) -> list[Rest]:
    return [rest for rest in rests if rest.scope in {f"account:{account}", f"user:{uid}"}]


@router.get("/audit", operation_id="audit", responses=answers({200: listed("audit", "decisions")}, 404, 409))
def audit(
    runner: Runner,
    caller: Reader,
    batch_id: Annotated[str | None, Query(description="The story of this batch; every decision without it")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """What was decided, by whom, when and why; the oldest first."""
    if batch_id is not None:
        return answer("audit", {"decisions": _story_of(runner, caller, batch_id)[-limit:]})
    told = runner.each(lambda desk: _newest(desk, caller, limit))
    rows = heapq.merge(*told.answers.values(), key=lambda row: row["at"])
    return answer("audit", {"decisions": [*rows][-limit:], **runner.away(told)})


def _story_of(runner: Desks, caller: Caller, batch_id: str) -> list[dict[str, Any]]:
    """The story as one shard has it; it may be kept longer than the batch, so all of them are asked."""
    told = runner.each(lambda desk: _story(desk, caller, batch_id))
    found = [name for name, rows in told.answers.items() if rows is not None]
    if len(found) > 1:
        raise TwoShardsError(f"there is a batch {batch_id!r} on each of the shards {' and '.join(found)}; ask one")
    for name in found:
        return told.answers[name] or []
    for error in told.failed.values():
        raise error
    raise UnknownBatchError(batch_id)


def _story(desk: Desk, caller: Caller, batch_id: str) -> list[dict[str, Any]] | None:
    """None if there is none, or not for this caller."""
    store = desk.store
    try:
        told = read_story(store.redis, store.keys, desk.audit, store.batches, batch_id) if batch_id else None
    except UnknownBatchError:
        return None
    if told is None or not all(caller.sees(each.account) for each in told if each.account and each.batch_id):
        return None
    return [desk.row(decision_json(decision)) for decision in told if sees_decision(caller, decision)]


def _newest(desk: Desk, caller: Caller, limit: int) -> list[dict[str, Any]]:
    legible(desk.store)
    seen = (decision for decision in desk.audit.backwards() if sees_decision(caller, decision))
    return [desk.row(decision_json(decision)) for decision in islice(seen, limit)][::-1]


@router.get("/find", operation_id="find", responses=answers({200: listed("find", "orders")}))
def find_named(
    runner: Runner, caller: Reader, q: Annotated[str, Query(min_length=1, max_length=128, description="The name")]
) -> Response:
    """Batches with this id, or of this account, and orders with this id or client id, the newest first."""
    told = runner.each(lambda desk: (desk, find(desk.store, q, caller.sees)))
    batches = [[desk.row(batch_json(state)) for state in found.batches] for desk, found in told.answers.values()]
    orders = [[desk.row(row_json(row)) for row in found.orders] for desk, found in told.answers.values()]
    named = {"batches": _newest_first(batches, "created_at"), "orders": _newest_first(orders, "enqueued_at")}
    return answer("find", {**named, **runner.away(told)})


def _newest_first(found: Sequence[Sequence[dict[str, Any]]], at: str) -> list[dict[str, Any]]:
    return [*heapq.merge(*found, key=lambda row: row[at], reverse=True)]


@router.get("/refused", operation_id="refused", responses=answers({200: listed("refused", "refused")}))
def refused(runner: Runner, caller: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> Response:
    """What workers could not admit: messages and rows with every reason, the newest first."""
    told = runner.each(lambda desk: _refused(desk, caller, limit))
    rows = _newest_first([*told.answers.values()], "at")
    return answer("refused", {"refused": rows[:limit], **runner.away(told)})


def _refused(desk: Desk, caller: Caller, limit: int) -> list[dict[str, Any]]:
    seen = (each for each in legible(desk.store).refusals.backwards() if caller.sees(each.account))
    return [desk.row(asdict(each)) for each in islice(seen, limit)]
