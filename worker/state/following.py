"""The outcomes of a batch as they come: those there are, then those of the stream `outcomes`, until it is complete."""

from collections.abc import Iterable, Iterator
from typing import Final, cast

from redis import Redis

from bulk_cancel.worker.state.batches import Batches, Row
from bulk_cancel.worker.state.keys import Keys

_PER_READ: Final = 1_000
_BLOCK_MS: Final = 500

Entry = tuple[str, dict[str, str]]


def follow_outcomes(redis: Redis, keys: Keys, batches: Batches, batch_id: str) -> Iterator[list[Row]]:
    """Rows that have ended since the last ones, at least once in `_BLOCK_MS`, an empty list if there are none.

    A row whose order is let go again comes again when it ends again. Raises UnknownBatchError and redis-py's errors.
    """
    stream, told = keys.of("outcomes"), _Told()
    seen = batches.newest()
    yield told.new(batches.rows(batch_id))
    while not batches.state(batch_id).complete:
        entries = _read(redis, stream, seen)
        seen = entries[-1][0] if entries else seen
        ours = [fields["order"] for _, fields in entries if batch_id in fields["batches"].split()]
        yield told.new(batches.rows_of(batch_id, ours))
    yield told.new(batches.rows(batch_id))


def _read(redis: Redis, stream: str, seen: str) -> list[Entry]:
    answer = cast("list[tuple[str, list[Entry]]]", redis.xread({stream: seen}, count=_PER_READ, block=_BLOCK_MS))
    return answer[0][1] if answer else []


class _Told:
    """Which ends of which rows were told: a row is known by its place in the batch, an end by its time."""

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}

    def new(self, rows: Iterable[Row]) -> list[Row]:
        """The ended rows that were not told yet."""
        return [row for row in rows if row.finished_at is not None and self._is_new(row.number, row.finished_at)]

    def _is_new(self, place: int, finished_at: int) -> bool:
        before = self._ends.get(place)
        self._ends[place] = finished_at
        return before != finished_at
