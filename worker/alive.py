"""A container's health check: `python -m bulk_cancel.worker.alive` ends with 0 if this host's worker is alive."""

import socket
import sys

from redis.exceptions import RedisError

from bulk_cancel.worker.state.fleet import read_workers
from bulk_cancel.worker.state.store import Store, default_store


def alive(store: Store, host: str) -> bool:
    """Whether a worker of `host` has reported itself in the last seconds; raises redis-py's errors."""
    return any(worker.alive and worker.name.startswith(f"{host}:") for worker in read_workers(store.redis, store.keys))


if __name__ == "__main__":
    try:
        sys.exit(0 if alive(default_store(), socket.gethostname()) else 1)
    except RedisError as error:
        sys.exit(f"Redis does not answer: {error}")
