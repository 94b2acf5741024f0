"""Is every connection open before it is needed? A kill switch must not pay for handshakes."""

from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import Final

import structlog
from redis import Redis
from redis.exceptions import RedisError

from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.sending.reachability import Reachability

log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
LOST_EVERY_S: Final = 0.5
REDIS_CONNECTIONS: Final = 16


class Warmer(Thread):
    """Opens connections at start, one for each call that may be under way, and replaces those that idle too long.

    An address that is out of reach is tried again and again; `regained` is told when a connection stands.
    """

    def __init__(
        self,
        redis: Redis,
        client: OkxClient,
        base_urls: Iterable[str],
        reachability: Reachability,
        *,
        concurrency: int,
        regained: Callable[[], None],
    ) -> None:
        super().__init__(name="warmer", daemon=True)
        self._redis = redis
        self._client = client
        self._base_urls = sorted(set(base_urls))
        self._reachability = reachability
        self._concurrency = concurrency
        self._regained = regained
        self._stopping = Event()

    def stop(self) -> None:
        """The present round is the last one."""
        self._stopping.set()
        self._reachability.stir()

    def run(self) -> None:
        """Redis once, its pool keeps what it has; the exchange's addresses again and again."""
        self._warm_redis()
        while not self._stopping.is_set():
            try:
                self._round()
            except Exception:
                log.exception("warming_failed")
            self._reachability.wait(LOST_EVERY_S if self._reachability.lost() else EVERY_S)

    def _round(self) -> None:
        for base_url in self._base_urls:
            if self._reachability.reaches(base_url) or self._reconnect(base_url):
                self._client.warm(base_url, self._concurrency)

    def _reconnect(self, base_url: str) -> bool:
        if not self._client.connect(base_url):
            return False
        self._reachability.regain(base_url)
        log.info("exchange_reached", exchange=base_url)
        self._regained()
        return True

    def _warm_redis(self) -> None:
        pool = self._redis.connection_pool
        opened = []
        try:
            opened += [pool.get_connection() for _ in range(REDIS_CONNECTIONS)]
        except RedisError as error:
            log.warning("redis_not_warmed", error=str(error))
        for connection in opened:
            pool.release(connection)
