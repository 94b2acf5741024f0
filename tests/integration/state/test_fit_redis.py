"""What a Redis must be: which ones a worker refuses by name, as state and as broker."""

import pytest
from pydantic import SecretStr
from redis import Redis

from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.connection import UnfitRedisError, check_broker, check_redis


def settings(broker: str) -> Settings:
    """With this broker."""
    return Settings(redis_url=SecretStr("redis://127.0.0.1:1/0"), broker_url=SecretStr(broker))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"cluster-enabled": "yes"}, "part of a cluster"),
        ({"maxmemory-policy": "allkeys-lru"}, "set maxmemory-policy noeviction"),
        ({}, r"name its primary \(127.0.0.1:1\)"),
    ],
)
def test_an_unfit_redis_is_refused(options: dict[str, str], why: str) -> None:
    """With what to change; the broker by its address. The last one is a replica."""
    with EmbeddedRedis(options=options) as server, Redis.from_url(server.url) as client:
        if not options:
            client.replicaof("127.0.0.1", "1")
        with pytest.raises(UnfitRedisError, match=why):
            check_redis(client.info())
        with pytest.raises(UnfitRedisError, match=f"the broker at {server.url}: .*{why}"):
            check_broker(settings(server.url))


def test_a_fit_broker_is_taken(redis_url: str) -> None:
    """And one that does not answer is waited for by who uses it."""
    check_broker(settings(redis_url))
    check_broker(settings("redis://127.0.0.1:1/0"))
