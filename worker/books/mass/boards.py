"""Reads the mass cancels that are not over, for those who want to know little of each."""

from typing import Final

from redis import Redis

from bulk_cancel.worker.state.keys import Keys

BOARDS: Final = ("masses", "newer_masses")
"""Of those, by who can read them."""


def fields_of_running(redis: Redis, keys: Keys, *names: str) -> list[list[str | None]]:
    """These fields of each, in two round trips; None what is not there. Raises redis-py's errors."""
    with redis.pipeline(transaction=False) as asked:
        for board in BOARDS:
            asked.zrange(keys.of(board), 0, -1)
        ids = [batch_id for found in asked.execute() for batch_id in found]
        for batch_id in ids:
            asked.hmget(keys.of("mass", batch_id), names)
        return asked.execute() if ids else []
