"""Reads what became of a batch: its state and one row per order; waits until it is complete."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from redis import Redis

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.jobs import read_jobs
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.statuses import DEAD, Status, row_ended
from bulk_cancel.worker.state.times import time_of

_CHUNK: Final = 500
"""Rows read at once."""


class UnknownBatchError(BulkCancelError, LookupError):
    """No batch has this id: never submitted, or past its retention."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"unknown batch {batch_id!r}: never submitted here, or kept no longer (RETENTION_S)")


@dataclass(frozen=True, slots=True)
class BatchState:
    """One batch as it stands; `counts` has the ended orders by outcome, `waiting` those without one."""

    batch_id: str
    account: str
    size: int
    waiting: int
    sealed: bool
    urgent: bool
    counts: Mapping[str, int]
    created_at: datetime
    deadline_at: datetime
    completed_at: datetime | None
    reason: str
    requested_by: str
    labels: Mapping[str, str]
    mass: bool = False
    """It is a mass cancel's: it grows until it is sealed."""
    refused: int = 0
    """Rows of the batch that could not be admitted; they are in the stream `refused`."""

    @property
    def complete(self) -> bool:
        """Every order that was handed in has its outcome."""
        return self.sealed and self.waiting == 0

    @property
    def dead(self) -> int:
        """Orders that may still be live although nothing more is done: rejected, exhausted, or refused at the door."""
        return self.refused + sum(self.counts.get(status, 0) for status in DEAD)


@dataclass(frozen=True, slots=True)
class Row:
    """One order of a batch, in the words of the contract; times in µs since the epoch, None where not (yet) so."""

    batch_id: str
    account: str
    instId: str
    ordId: str | None
    clOrdId: str | None
    status: str
    sCode: str | None
    sMsg: str | None
    attempts: int
    enqueued_at: int
    first_sent_at: int | None
    accepted_at: int | None
    finished_at: int | None
    number: int
    """Its number in the batch, from 0."""
    log: tuple[Mapping[str, object], ...]
    accFillSz: str | None = None
    """What of the order was filled, in its own unit; "0" if nothing, None if that is not known."""

    @property
    def partly_filled(self) -> bool:
        """It ended otherwise, but some of it was filled before."""
        return self.status != Status.FILLED and (self.accFillSz or "").strip("0.") != ""


class Batches:
    """Reads batches of one runner; raises UnknownBatchError and redis-py's errors."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def state(self, batch_id: str) -> BatchState:
        """The batch as it stands now."""
        raw = self._read(batch_id)
        if not raw:
            raise UnknownBatchError(batch_id)
        return _state(batch_id, raw)

    def rows(self, batch_id: str) -> list[Row]:
        """Every order of the batch, in the order in which it was handed in."""
        state = self.state(batch_id)
        raw = dict(self._redis.hscan_iter(self._keys.of("rows", batch_id), count=1000))
        jobs = dict(read_jobs(self._redis, self._keys, [job for job, row in raw.items() if not row_ended(row)]))
        live = {job: fields for job, fields in jobs.items() if "place" in fields}
        raw |= self._ended_since(batch_id, [job for job in jobs if job not in live])
        rows = (_row(state, job, text, live.get(job)) for job, text in raw.items())
        return sorted(rows, key=lambda row: row.number)

    def rows_of(self, batch_id: str, jobs: Sequence[str]) -> list[Row]:
        """The rows of these jobs that have ended, in the order of `jobs`."""
        state = self.state(batch_id)
        return [_row(state, job, text, None) for job, text in self._ended_since(batch_id, jobs) if text.startswith("{")]

    def recent(self, count: int) -> list[BatchState]:
        """Batches with waiting orders, the earliest deadline first; `count` 0: all of them."""
        return self.known(cast("list[str]", self._redis.zrange(self._keys.of("deadlines"), 0, count - 1)))

    def known(self, ids: Sequence[str]) -> list[BatchState]:
        """Those of the batches that are still kept, in the order of their ids."""
        with self._redis.pipeline(transaction=False) as pipe:
            for batch_id in ids:
                pipe.hgetall(self._keys.of("batch", batch_id))
            read = pipe.execute()
        return [_state(batch_id, raw) for batch_id, raw in zip(ids, read, strict=True) if raw]

    def wait(self, batch_id: str, *, timeout_s: float | None) -> Iterator[BatchState]:
        """The batch's state whenever outcomes came in, at least once a second; ends when complete or timed out."""
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        seen = self._newest()
        while True:
            state = self.state(batch_id)
            yield state
            left = 1.0 if ends is None else min(1.0, ends - time.monotonic())
            if state.complete or left <= 0:
                return
            self._redis.xread({self._keys.of("outcomes"): seen}, count=1, block=max(1, round(left * 1000)))
            seen = self._newest()

    def _ended_since(self, batch_id: str, jobs: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The rows of jobs that waited a moment ago and have ended: read again, they say how."""
        for chunk in chunks(jobs, _CHUNK):
            rows = cast("list[str | None]", self._redis.hmget(self._keys.of("rows", batch_id), chunk))
            yield from ((job, row) for job, row in zip(chunk, rows, strict=True) if row)

    def _read(self, batch_id: str) -> dict[str, str]:
        return cast("dict[str, str]", self._redis.hgetall(self._keys.of("batch", batch_id)))

    def _newest(self) -> str:
        newest = self._redis.xrevrange(self._keys.of("outcomes"), count=1)
        return str(newest[0][0]) if newest else "0-0"


def _state(batch_id: str, raw: Mapping[str, str]) -> BatchState:
    counts = +Counter({name[7:]: int(value) for name, value in raw.items() if name.startswith("status:")})
    return BatchState(
        batch_id=batch_id,
        account=raw["account"],
        size=int(raw["size"]),
        waiting=int(raw["waiting"]),
        sealed=raw["sealed"] == "1",
        urgent=raw["urgent"] == "1",
        counts=counts,
        created_at=time_of(int(raw["created"])),
        deadline_at=time_of(int(raw["deadline_wall"])),
        completed_at=time_of(int(raw["completed"])) if "completed" in raw else None,
        reason=raw.get("reason", ""),
        requested_by=raw.get("requested_by", ""),
        labels=json.loads(raw.get("labels", "{}")),
        mass=raw.get("mass") == "1",
        refused=int(raw.get("refused", 0)),
    )


def _row(state: BatchState, job: str, text: str, live: Mapping[str, Any] | None) -> Row:
    if not row_ended(text):
        return _waiting_row(state, job, text, live or {})
    ended = json.loads(text)
    return _build_row(
        state,
        job,
        ended["clOrdId"],
        status=ended["status"],
        sCode=ended["sCode"],
        sMsg=ended["sMsg"],
        attempts=ended["attempts"],
        enqueued_at=ended["enqueued"],
        first_sent_at=ended["first_sent"],
        accepted_at=ended["accepted"],
        finished_at=ended["finished"],
        accFillSz=ended.get("accFillSz") or None,
        number=ended["n"],
        log=tuple(ended["log"]),
    )


def _waiting_row(state: BatchState, job: str, text: str, live: Mapping[str, Any]) -> Row:
    number, enqueued, client = (*text.split(" "), "")[:3]
    log = tuple(json.loads(line) for line in (live.get("log") or "").splitlines())
    last = log[-1] if log else {}
    return _build_row(
        state,
        job,
        client,
        status=live.get("state") or Status.QUEUED,
        sCode=last.get("sCode"),
        sMsg=last.get("sMsg"),
        attempts=int(live.get("attempts") or 0) + int(live.get("again") or 0),
        enqueued_at=int(enqueued),
        first_sent_at=int(live["sent"]) if live.get("sent") else None,
        accepted_at=int(live["accepted"]) if live.get("accepted") else None,
        finished_at=None,
        accFillSz=None,
        number=int(number),
        log=log,
    )


def _build_row(state: BatchState, job: str, client: str, **fields: Any) -> Row:  # noqa: ANN401 (the rest of Row's fields)
    order = JobId.parse(job)
    return Row(
        batch_id=state.batch_id,
        account=state.account,
        instId=order.inst_id,
        ordId=order.ord_id,
        clOrdId=order.cl_ord_id or client or None,
        **fields,
    )
