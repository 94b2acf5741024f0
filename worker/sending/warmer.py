"""Keeps every connection open before it is needed: a kill switch must not pay for handshakes."""

from collections.abc import Callable, Iterable
from typing import Final

import structlog
from redis import Redis
from redis.exceptions import RedisError

from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.sending.reachability import Reachability
from bulk_cancel.worker.state.loop import Loop

log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
"""Often enough for the pool, which replaces a connection 10 s (`WARM_AHEAD_S`) before it grows too old."""

LOST_EVERY_S: Final = 0.5
"""While an address is out of reach: its lanes wait for this."""

REDIS_CONNECTIONS: Final = 16
"""Opened at the start; more are opened as they are needed."""


class Warmer(Loop):
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
        super().__init__("warmer", pause_s=EVERY_S, awake=reachability.news)
        self._redis = redis
        self._client = client
        self._base_urls = sorted(set(base_urls))
        self._reachability = reachability
        self._concurrency = concurrency
        self._regained = regained

    def run(self) -> None:
        """Redis once, its pool keeps what it has; the exchange's addresses again and again."""
        self.safely(self._warm_redis)
        super().run()

    def round(self) -> None:
        """Connects to each address as often as calls may be under way; the next round is sooner if one was lost."""
        self.pause_s = LOST_EVERY_S if self._reachability.lost() else EVERY_S
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
