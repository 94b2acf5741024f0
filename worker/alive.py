"""Is this host's worker alive? A container's health check: `python -m worker.alive` ends with 0 if it is."""

import json
import socket
import sys
from typing import Final

from redis.exceptions import RedisError

from worker.store import Store, default_store

FRESH_S: Final = 5


def alive(store: Store, host: str) -> bool:
    """Whether a worker of `host` has reported itself in the last seconds; raises redis-py's errors."""
    now = store.redis.time()[0]
    beats = store.redis.hgetall(store.keys.of("workers")).items()
    return any(str(name).startswith(f"{host}:") and now - json.loads(beat)["at"] <= FRESH_S for name, beat in beats)


if __name__ == "__main__":
    try:
        sys.exit(0 if alive(default_store(), socket.gethostname()) else 1)
    except RedisError as error:
        sys.exit(f"Redis does not answer: {error}")
