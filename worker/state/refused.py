"""The stream of what could not be admitted, each with every reason, for a person to read and mend."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

import structlog
from redis import Redis

from bulk_cancel.tasks.reading import Refusal
from bulk_cancel.tasks.utf8 import writable
from bulk_cancel.worker.state.bunches import bunched
from bulk_cancel.worker.state.entries import entries
from bulk_cancel.worker.state.keys import Keys

log = structlog.get_logger(__name__)

Field = bytes | bytearray | memoryview | str | int | float
"""What a stream's entry may hold."""

PAYLOAD_KEPT: Final = 16_384
ERRORS_KEPT: Final = 100
PAGE: Final = 100
ENTRIES_KEPT: Final = 10_000
"""At most some 200 MiB, so that poison does not use up the room that outcomes need."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that will not be done; `payload` is cut at 16 KiB, `length` is its whole length in characters."""

    id: str
    at: datetime
    source: str
    batch_id: str
    account: str
    errors: tuple[str, ...]
    payload: str
    length: int


class Refusals:
    """The stream `refused` of one runner; raises redis-py's errors."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._key = keys.of("refused")

    def add(
        self,
        payload: str,
        errors: Sequence[str],
        *,
        source: str,
        batch_id: str = "",
        account: str = "",
        length: int | None = None,
    ) -> None:
        """Keeps one refusal; `length` is what the whole measures of which `payload` is only the head."""
        one = Refusal(payload, tuple(errors), batch_id, account)
        self._add(self._redis, one, source, len(payload) if length is None else length)
        _log((one,), source)

    def add_all(self, refusals: Sequence[Refusal], *, source: str) -> None:
        """Keeps all that was refused of one message, of many rows a bunch an entry; logged once."""
        if not refusals:
            return
        with self._redis.pipeline(transaction=False) as pipe:
            for each in bunched(refusals):
                self._add(pipe, each, source, len(each.payload))
            pipe.execute()
        _log(refusals, source)

    def _add(self, redis: Redis, refusal: Refusal, source: str, length: int) -> None:
        """No text may keep it from being written: lone surrogates and the like are kept in escaped form."""
        fields: dict[Field, Field] = {
            "source": writable(source),
            "batch_id": writable(refusal.batch_id),
            "account": writable(refusal.account),
            "payload": writable(refusal.payload[:PAYLOAD_KEPT]),
            "errors": json.dumps(list(refusal.errors)[:ERRORS_KEPT]),
            "length": length,
        }
        redis.xadd(self._key, fields, maxlen=ENTRIES_KEPT, approximate=True)

    def newest(self, count: int) -> list[Entry]:
        """The last refusals, newest first."""
        found = cast("list[tuple[str, dict[str, str]]]", self._redis.xrevrange(self._key, count=count))
        return [_entry(entry_id, fields) for entry_id, fields in found]

    def backwards(self) -> Iterator[Entry]:
        """Every refusal that is kept, the newest first, page by page."""
        found = entries(self._redis, self._key, newest_first=True, page=PAGE)
        return (_entry(entry_id, fields) for entry_id, fields in found)

    def count(self) -> int:
        """How many are kept."""
        return int(self._redis.xlen(self._key))


def _log(refusals: Sequence[Refusal], source: str) -> None:
    first, errors = refusals[0], [error for each in refusals[:5] for error in each.errors]
    facts = {"batch": writable(first.batch_id), "account": writable(first.account), "count": len(refusals)}
    log.warning("refused", source=writable(source), **facts, errors=[writable(error) for error in errors[:5]])


def _entry(entry_id: str, raw: dict[str, str]) -> Entry:
    at = datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
    errors = tuple(json.loads(raw["errors"]))
    return Entry(
        entry_id,
        at,
        raw["source"],
        raw["batch_id"],
        raw["account"],
        errors,
        raw["payload"],
        int(raw["length"]),
    )
