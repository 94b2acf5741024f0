"""The stream of what could not be admitted, each with every reason, for a person to read and mend."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

import structlog
from redis import Redis

from bulk_cancel.worker.state.keys import Keys

log = structlog.get_logger(__name__)

Field = bytes | bytearray | memoryview | str | int | float
"""What a stream's entry may hold."""

PAYLOAD_KEPT: Final = 16_384
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

    def add(self, payload: str, errors: Sequence[str], *, source: str, batch_id: str = "", account: str = "") -> None:
        """Keeps one refusal; lone surrogates and the like are kept in escaped form."""
        safe = payload[:PAYLOAD_KEPT].encode("utf-8", "backslashreplace").decode()
        fields: dict[Field, Field] = {
            "source": source,
            "batch_id": batch_id,
            "account": account,
            "payload": safe,
            "errors": json.dumps(list(errors)[:100]),
            "length": len(payload),
        }
        self._redis.xadd(self._key, fields, maxlen=ENTRIES_KEPT, approximate=True)
        log.warning("refused", source=source, batch=batch_id, account=account, errors=list(errors)[:5])

    def newest(self, count: int) -> list[Entry]:
        """The last refusals, newest first."""
        found = cast("list[tuple[str, dict[str, str]]]", self._redis.xrevrange(self._key, count=count))
        return [_entry(entry_id, fields) for entry_id, fields in found]

    def count(self) -> int:
        """How many are kept."""
        return int(self._redis.xlen(self._key))


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
