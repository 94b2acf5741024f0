"""What programs are told, whichever door they ask at: the objects of `cli/JSON.md`, and how JSON spells their values.

Values in, objects out; no I/O.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Final

from bulk_cancel.tasks.outcomes import Retried, Withdrawn
from bulk_cancel.tasks.receipts import Receipt
from bulk_cancel.worker.operators.audit import Decision
from bulk_cancel.worker.operators.decisions import Paused, Resumed
from bulk_cancel.worker.operators.holds import Released
from bulk_cancel.worker.operators.status import Snapshot
from bulk_cancel.worker.state.batches import BatchState, Row
from bulk_cancel.worker.state.times import time_of

VERSION: Final = 1
"""Of the shapes of `cli/JSON.md`; a name that goes or changes its meaning makes the next one, a new name does not."""

FIELDS: Final = (
    "batch_id", "account", "instId", "ordId", "clOrdId", "status", "sCode", "sMsg", "attempts",
    "enqueued_at", "first_sent_at", "accepted_at", "finished_at", "accFillSz", "known", "algoId",
    "children",
)  # fmt: skip
"""What is told of an order, in this order."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def document(schema: str, said: Mapping[str, object]) -> dict[str, object]:
    """An object with the name and the version of its shape."""
    return {"schema": f"{schema}/{VERSION}", **said}


def placed(shard: str, said: Mapping[str, object]) -> dict[str, object]:
    """An object with the shard that it is of, if its runner has several."""
    return {"shard": shard, **said} if shard else dict(said)


def plain(value: object) -> object:
    """What JSON has no word for: times as ISO 8601 UTC with milliseconds, values as objects."""
    if isinstance(value, datetime):
        return iso(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence | set | frozenset):
        return list(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def iso(at: datetime) -> str:
    """`2026-02-26T10:00:00.123Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def iso_us(us: int | None) -> str | None:
    """The same from µs since the epoch; None stays None."""
    return None if us is None else iso(time_of(us))


def batch_json(state: BatchState) -> dict[str, object]:
    """One batch; times are datetimes."""
    return {
        "batch_id": state.batch_id,
        "account": state.account,
        "size": state.size,
        "waiting": state.waiting,
        "counts": dict(state.counts),
        "dead": state.dead,
        "partly_filled": state.partly_filled,
        "never_known": state.never_known,
        "complete": state.complete,
        "sealed": state.sealed,
        "urgent": state.urgent,
        "mass": state.mass,
        "hold": state.hold,
        "created_at": state.created_at,
        "deadline_at": state.deadline_at,
        "completed_at": state.completed_at,
        "reason": state.reason,
        "requested_by": state.requested_by,
        "labels": dict(state.labels),
    }


def receipt_json(receipt: Receipt) -> dict[str, object]:
    """What was taken, as of submit/1; `skipped` is for doors that may leave rows out."""
    return asdict(receipt) | {"duplicates": receipt.duplicates, "skipped": []}


def row_json(row: Row, *, verbose: bool = False) -> dict[str, object]:
    """One order as the contract spells it; `verbose` adds its attempts."""
    times = ("enqueued_at", "first_sent_at", "accepted_at", "finished_at")
    said = {name: getattr(row, name) for name in FIELDS}
    said |= {name: iso_us(getattr(row, name)) for name in times}
    said |= {"sCode": row.sCode or None, "sMsg": row.sMsg or None}
    return said | ({"log": [attempt_json(attempt) for attempt in row.log]} if verbose else {})


def csv_cell(value: object) -> object:
    """Text that a spreadsheet would run as a formula begins with `'`, by which it knows text; a list is JSON."""
    if isinstance(value, tuple):
        return json.dumps(value) if value else ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def attempt_json(attempt: Mapping[str, object]) -> dict[str, object]:
    """One attempt of an order's log: all that is known of it, its time in ISO 8601."""
    at = attempt.get("at")
    return {**attempt, "at": iso_us(at) if isinstance(at, int) else None}


def snapshot_json(snapshot: Snapshot) -> dict[str, object]:
    """The runner, every lane of the snapshot; times are datetimes."""
    return {
        "at": snapshot.at,
        "workers_alive": snapshot.alive,
        "waiting": snapshot.waiting,
        "outcomes": dict(snapshot.outcomes),
        "refused": snapshot.refused,
        "may_be_live": snapshot.may_be_live,
        "oldest_urgent": snapshot.oldest_urgent,
        "switches": snapshot.switches,
        "batches_waiting": snapshot.batches_waiting,
        "rests": snapshot.rests,
        "masses": snapshot.masses,
        "lanes": snapshot.lanes,
        "workers": snapshot.workers,
        "formats": dict(snapshot.formats),
        "batches": [batch_json(state) for state in snapshot.batches],
    }


def decision_json(decision: Decision) -> dict[str, object]:
    """One decision; what has no sense for it is null."""
    said: dict[str, object] = {"at": decision.at, "event": decision.event}
    named = ("by", "reason", "batch_id", "account", "scope")
    return said | {name: getattr(decision, name) or None for name in named} | {"facts": decision.facts}


def withdrawn_json(done: Withdrawn) -> dict[str, object]:
    """What withdraw did, and the batch afterwards."""
    counts = {"withdrawn": done.withdrawn, "sent": done.sent, "ended": done.ended}
    return {"batch_id": done.state.batch_id, **counts, "state": batch_json(done.state)}


def retried_json(done: Retried) -> dict[str, object]:
    """What retry did, and the batch afterwards."""
    counts = {"opened": done.opened, "joined": done.joined, "remembered": done.remembered}
    return {"batch_id": done.state.batch_id, **counts, "state": batch_json(done.state)}


def withdrawn_matching_json(orders: int, done: Sequence[Withdrawn]) -> dict[str, object]:
    """What withdraw did to the `orders` that fit a filter, in all and by batch."""
    return {"orders": orders, **_by_batch(done, ("withdrawn", "sent", "ended"))}


def retried_matching_json(orders: int, done: Sequence[Retried], left_out: Sequence[str]) -> dict[str, object]:
    """What retry did to the `orders` that fit a filter; `left_out` are batches that take no retry."""
    return {"orders": orders, **_by_batch(done, ("opened", "joined", "remembered")), "left_out": left_out}


def _by_batch(done: Sequence[Withdrawn | Retried], names: Sequence[str]) -> dict[str, object]:
    counts = [(each.state, {name: getattr(each, name) for name in names}) for each in done]
    batches = [{"batch_id": state.batch_id, "account": state.account, **count} for state, count in counts]
    return {name: sum(count[name] for _, count in counts) for name in names} | {"batches": batches}


def released_json(done: Released) -> dict[str, object]:
    """The mass cancel that is no longer on hold."""
    mass = done.mass
    said = {"batch_id": mass.batch_id, "account": mass.account, "changed": done.changed, "state": mass.state}
    return said | {"flat": mass.flat, "waiting": done.batch.waiting}


def paused_json(done: Paused) -> dict[str, object]:
    """The pause that holds now."""
    said = {"scope": done.target.scope, "accounts": done.target.accounts, "changed": done.changed}
    return said | {"paused_by": done.by, "reason": done.reason, "since": done.since}


def resumed_json(done: Resumed) -> dict[str, object]:
    """What rested before."""
    return {"scope": done.target.scope, "accounts": done.target.accounts, "ended": done.ended}
