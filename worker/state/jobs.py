"""Reads many jobs at once, without a verb; who acts on one names its generation."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from redis import Redis

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.keys import Keys

_CHUNK: Final = 500
"""Jobs read at once."""


def read_jobs(redis: Redis, keys: Keys, jobs: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each job with what is known of it, nothing if it is forgotten; raises redis-py's errors."""
    return iter(answered(ask_jobs(redis, keys, jobs)).items())


def ask_jobs(redis: Redis, keys: Keys, jobs: Sequence[str]) -> Asking[dict[str, dict[str, Any]]]:
    """As `read_jobs`, over either client."""
    found: dict[str, dict[str, Any]] = {}
    for chunk in chunks(jobs, _CHUNK):
        read: list[str | None] = yield redis.mget([keys.of("job", job) for job in chunk])
        found |= {job: _fields(text or "{}") for job, text in zip(chunk, read, strict=True)}
    return found


def _fields(text: str) -> dict[str, Any]:
    """Of a live job its place in line stands before its fields."""
    place, _, fields = ("", "", text) if text.startswith("{") else text.partition(" ")
    return {**json.loads(fields), **({"place": place} if place else {})}
