"""Is every connection open before it is needed? A kill switch must not pay for handshakes."""

from collections.abc import Iterable
from threading import Event, Thread
from typing import Final

import structlog
from redis import Redis
from redis.exceptions import RedisError

from worker.okx.client import OkxClient

log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
REDIS_CONNECTIONS: Final = 16
EXCHANGE_CONNECTIONS: Final = 24
"""A lane's first instant is 15 batch calls and 60 single ones; more connections open as calls need them."""


class Warmer(Thread):
    """Opens connections at start and replaces those that idle too long."""

    def __init__(self, redis: Redis, client: OkxClient, base_urls: Iterable[str], *, concurrency: int) -> None:
        super().__init__(name="warmer", daemon=True)
        self._redis = redis
        self._client = client
        self._base_urls = sorted(set(base_urls))
        self._connections = min(EXCHANGE_CONNECTIONS, concurrency)
        self._stopping = Event()

    def stop(self) -> None:
        """The present round is the last one."""
        self._stopping.set()

    def run(self) -> None:
        """Redis once, its pool keeps what it has; the exchange's addresses again and again."""
        self._warm_redis()
        while not self._stopping.is_set():
            for base_url in self._base_urls:
                self._client.warm(base_url, self._connections)
            self._stopping.wait(EVERY_S)

    def _warm_redis(self) -> None:
        pool = self._redis.connection_pool
        opened = []
        try:
            opened += [pool.get_connection() for _ in range(REDIS_CONNECTIONS)]
        except RedisError as error:
            log.warning("redis_not_warmed", error=str(error))
        for connection in opened:
            pool.release(connection)
