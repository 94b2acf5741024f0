"""How does a user of plain Celery cancel a bulk? One `delay` per order; the worker runs beside this process."""

import os
import time
from collections.abc import Callable

from redis import Redis

from bench.drivers.wire import HandIn, Work, serve

POLL_S = 0.1
QUIET_POLLS = 5
"""Nothing queued and nothing held so many times in a row: retries wait as held messages too."""


def prepare(work: Work) -> HandIn:
    """The app, and a connection to its broker."""
    os.environ |= {"PLAIN_REDIS_URL": work.redis_url, "PLAIN_EXCHANGE_URL": work.exchange_url}
    from bench.drivers.celery_app import app, cancel  # noqa: PLC0415 (it reads the environment set above)

    app.connection_for_write().ensure_connection(max_retries=3)

    def hand_in() -> Callable[[], None]:
        for desk in work.desks:
            for inst_id, orders in desk.orders.items():
                for order in orders:
                    cancel.delay(desk.key, desk.secret, desk.passphrase, inst_id, order)
        return lambda: _wait(work.redis_url)

    return hand_in


def _wait(redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        quiet = 0
        while quiet < QUIET_POLLS:
            time.sleep(POLL_S)
            quiet = 0 if redis.llen("celery") or redis.hlen("unacked") else quiet + 1


if __name__ == "__main__":
    serve(prepare)
