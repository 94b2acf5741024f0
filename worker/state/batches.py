"""Reads what became of a batch: its state and one row per order; waits until it is complete."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from redis import Redis

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.tasks.errors import UnknownBatchError
from bulk_cancel.tasks.outcomes import BatchState, Row
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.formats import FORMATS, Formats, mark_fields, marks_in, readable
from bulk_cancel.worker.state.jobs import ask_jobs
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.rows import number_of, row_of
from bulk_cancel.worker.state.statuses import row_ended
from bulk_cancel.worker.state.times import time_of

__all__ = ["BatchState", "Batches", "Reading", "Row", "UnknownBatchError", "Waiting"]

_CHUNK: Final = 500
"""Rows read at once."""

_PAGE: Final = 1000
"""Rows that one step of a scan is to bring; Redis brings a small batch at once."""

SOME: Final = 1000
"""Rows that are made values together, with their jobs."""


class Batches:
    """Reads batches of one runner; raises UnknownBatchError, UnreadableFormatError and redis-py's errors."""

    def __init__(self, redis: Redis, keys: Keys, formats: Formats = FORMATS) -> None:
        self._redis = redis
        self._keys = keys
        self._formats = formats

    def state(self, batch_id: str) -> BatchState:
        """The batch as it stands now."""
        return answered(self.ask_state(batch_id))

    def ask_state(self, batch_id: str) -> Asking[BatchState]:
        """As `state`, over either client."""
        (raw,) = yield from self._ask_kept([batch_id])
        if not raw:
            raise UnknownBatchError(batch_id)
        return _state(batch_id, raw)

    def ask_digests(self, ids: Sequence[str]) -> Asking[dict[str, str]]:
        """What names the content of each of the batches that is kept, by id; over either client."""
        read = yield from self._ask_kept(ids)
        return {batch_id: raw["digest"] for batch_id, raw in zip(ids, read, strict=True) if raw}

    def rows(self, batch_id: str) -> list[Row]:
        """Every order of the batch, in the order in which it was handed in."""
        return answered(self.ask_sorted(batch_id))

    def ask_sorted(self, batch_id: str) -> Asking[list[Row]]:
        """As `rows`, over either client."""
        rows = yield from self.ask_rows_by_job(batch_id)
        return sorted(rows.values(), key=lambda row: row.number)

    def ordered(self, batch_id: str, *, after: int = -1, at_once: int = SOME) -> Iterator[Row]:
        """The rows beyond number `after`, in the order of `rows`; each is made a value, with its job, as it is needed.

        They are read now. Where `at_once` of them are made values an order may have ended since: that is told then.
        """
        state, raw = self.state(batch_id), answered(self.ask_raw(batch_id))
        numbered = ((number_of(text), job) for job, text in raw.items())
        wanted = sorted(each for each in numbered if each[0] > after)
        return self._made(state, raw, [job for _, job in wanted], at_once)

    def _made(self, state: BatchState, raw: Mapping[str, str], jobs: Sequence[str], at_once: int) -> Iterator[Row]:
        for part in chunks(jobs, at_once):
            rows = answered(self.ask_rows(state, {job: raw[job] for job in part}))
            yield from (rows[job] for job in part)

    def rows_by_job(self, batch_id: str) -> dict[str, Row]:
        """Every order of the batch, by its job."""
        return answered(self.ask_rows_by_job(batch_id))

    def ask_rows_by_job(self, batch_id: str) -> Asking[dict[str, Row]]:
        """As `rows_by_job`, over either client."""
        state = yield from self.ask_state(batch_id)
        return (yield from self.ask_rows(state, (yield from self.ask_raw(batch_id))))

    def ask_raw(self, batch_id: str) -> Asking[dict[str, str]]:
        """Every row as Redis keeps it, by its job; none of a batch that is not known."""
        cursor, raw = 0, dict[str, str]()
        while True:
            cursor, page = yield from self.ask_page(batch_id, cursor)
            raw |= page
            if not cursor:
                return raw

    def ask_page(self, batch_id: str, cursor: int) -> Asking[tuple[int, dict[str, str]]]:
        """One step of a scan from `cursor` on (0: the beginning), and where the next begins (0: that was all).

        A row may come twice; one that is there all the while comes.
        """
        page: tuple[int, dict[str, str]] = yield self._redis.hscan(self._keys.of("rows", batch_id), cursor, count=_PAGE)
        return page

    def ask_rows(self, state: BatchState, raw: Mapping[str, str]) -> Asking[dict[str, Row]]:
        """Rows as values, those that wait with their jobs as they stand."""
        waiting = [job for job, text in raw.items() if not row_ended(text)]
        if not waiting:
            return {job: row_of(state, job, text, None) for job, text in raw.items()}
        jobs = yield from ask_jobs(self._redis, self._keys, waiting)
        live = {job: fields for job, fields in jobs.items() if "place" in fields}
        since = yield from self._ended_since(state.batch_id, [job for job in jobs if job not in live])
        return {job: row_of(state, job, text, live.get(job)) for job, text in {**raw, **since}.items()}

    def rows_of(self, batch_id: str, jobs: Sequence[str]) -> list[Row]:
        """The rows of these jobs that have ended, in the order of `jobs`."""
        state, found = self.state(batch_id), answered(self._ended_since(batch_id, jobs))
        return [row_of(state, job, text, None) for job, text in found.items() if row_ended(text)]

    def recent(self, count: int) -> list[BatchState]:
        """Batches with waiting orders, the earliest deadline first; `count` 0: all of them."""
        return self.known(cast("list[str]", self._redis.zrange(self._keys.of("deadlines"), 0, count - 1)))

    def known(self, ids: Sequence[str]) -> list[BatchState]:
        """Those of the batches that are still kept, in the order of their ids."""
        read = answered(self._ask_kept(ids))
        return [_state(batch_id, raw) for batch_id, raw in zip(ids, read, strict=True) if raw]

    def wait(self, batch_id: str, *, timeout_s: float | None) -> Iterator[BatchState]:
        """The batch's state whenever outcomes came in, at least once a second; ends when complete or timed out."""
        waiting = Waiting(self, batch_id, timeout_s=timeout_s)
        while not waiting.over:
            yield answered(waiting.ask_next())

    def newest(self) -> str:
        """The id of the latest entry in the stream `outcomes`; `0-0` while there is none."""
        return answered(self.ask_newest())

    def ask_newest(self) -> Asking[str]:
        """As `newest`, over either client."""
        newest: list[tuple[str, object]] = yield self._redis.xrevrange(self._keys.of("outcomes"), count=1)
        return newest[0][0] if newest else "0-0"

    def ask_change(self, seen: str, wait_s: float) -> Asking[str]:
        """The id of the latest outcome, once there is one after `seen`, or after `wait_s`."""
        yield self._redis.xread({self._keys.of("outcomes"): seen}, count=1, block=max(1, round(wait_s * 1000)))
        return (yield from self.ask_newest())

    def _ask_kept(self, ids: Sequence[str]) -> Asking[list[dict[str, str]]]:
        """What Redis keeps of each batch. All that is told of one begins here, so it means what this release thinks."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.hmget(self._keys.of("formats"), mark_fields(self._keys.prefix))
        for batch_id in ids:
            pipe.hgetall(self._keys.of("batch", batch_id))
        marks: list[str | None]
        read: list[dict[str, str]]
        marks, *read = yield pipe.execute()
        readable(self._formats, marks_in(marks))
        return read

    def _ended_since(self, batch_id: str, jobs: Sequence[str]) -> Asking[dict[str, str]]:
        """The rows of jobs that waited a moment ago and have ended: read again, they say how."""
        found: dict[str, str] = {}
        for chunk in chunks(jobs, _CHUNK):
            rows: list[str | None] = yield self._redis.hmget(self._keys.of("rows", batch_id), chunk)
            found |= {job: row for job, row in zip(chunk, rows, strict=True) if row}
        return found


class Waiting:
    """How a batch stands, again and again: now, then whenever outcomes came in, at least once a second.

    `over`: it is complete, or `timeout_s` have passed.
    """

    def __init__(self, batches: Batches, batch_id: str, *, timeout_s: float | None) -> None:
        self._batches = batches
        self._batch_id = batch_id
        self._ends = None if timeout_s is None else time.monotonic() + timeout_s
        self._seen = ""
        self.over = False

    def ask_next(self) -> Asking[BatchState]:
        """The next state, over either client."""
        ask = self._batches
        if self._seen:
            self._seen = yield from ask.ask_change(self._seen, max(0, self._left_s()))
        else:
            self._seen = yield from ask.ask_newest()
        state = yield from ask.ask_state(self._batch_id)
        self.over = state.complete or self._left_s() <= 0
        return state

    def _left_s(self) -> float:
        return 1.0 if self._ends is None else min(1.0, self._ends - time.monotonic())


class Reading:
    """The rows of a batch page by page, each once, in no order: of 100,000 a thousand are in memory.

    `over`: there are no more.
    """

    def __init__(self, batches: Batches, batch_id: str) -> None:
        self._batches = batches
        self._batch_id = batch_id
        self._cursor = 0
        self._told = bytearray()
        self.over = False

    def ask_next(self) -> Asking[list[Row]]:
        """The next page, over either client; it may be empty."""
        self._cursor, raw = yield from self._batches.ask_page(self._batch_id, self._cursor)
        state = yield from self._batches.ask_state(self._batch_id)  # it counts all that the page has
        rows = yield from self._batches.ask_rows(state, raw)
        self.over = not self._cursor
        self._told.extend(bytes(max(0, state.size - len(self._told))))
        return [row for row in rows.values() if self._is_new(row.number)]

    def _is_new(self, number: int) -> bool:
        told, self._told[number] = self._told[number], 1
        return not told


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
        hold=raw.get("hold") == "1",
        refused=int(raw.get("refused", 0)),
        partly_filled=int(raw.get("partly_filled", 0)),
        never_known=int(raw.get("never_known", 0)),
    )
