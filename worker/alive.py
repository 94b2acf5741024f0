"""Health checks of a container: is this host's worker alive, and is it ready?

`python -m bulk_cancel.worker.alive` is for liveness: 0 if a worker process of this host runs and its threads turn,
which needs no Redis, so that no fleet is restarted because Redis is away. Where no worker has left a pulse (an older
one, or a host without a directory for temporary files) it asks Redis, as `--ready` does.

`python -m bulk_cancel.worker.alive --ready` is for readiness: 0 if this host's worker has reported itself to Redis in
the last seconds, so that it can be given work.
"""

import argparse
import socket
import sys
from collections.abc import Sequence

from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.worker.service.pulse import FRESH_S, pulses
from bulk_cancel.worker.state.fleet import read_workers
from bulk_cancel.worker.state.shards import default_store
from bulk_cancel.worker.state.store import Store


def main(arguments: Sequence[str]) -> int | str:
    """The exit status, or why it is 1."""
    parser = argparse.ArgumentParser(prog="python -m bulk_cancel.worker.alive", description="Is the worker alive?")
    parser.add_argument("--ready", action="store_true", help="ask Redis, whether it can be given work")
    asked, host = parser.parse_args(arguments), socket.gethostname()
    ages = [] if asked.ready else pulses(host)
    if ages:
        return 0 if min(ages) <= FRESH_S else f"the worker stands still: its pulse is {min(ages):.0f} s old"
    try:
        return 0 if alive(default_store(), host) else f"no worker of {host} has reported itself to Redis"
    except RedisError as error:
        return f"Redis does not answer: {error}"
    except SettingsError as error:
        return str(error)


def alive(store: Store, host: str) -> bool:
    """Whether a worker of `host` has reported itself in the last seconds; raises redis-py's errors."""
    return any(worker.alive and worker.name.startswith(f"{host}:") for worker in read_workers(store.redis, store.keys))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
