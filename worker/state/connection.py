"""The connection to the state Redis, and what that Redis must be."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.config.settings import Settings, redacted
from bulk_cancel.worker.config.urls import sentinels, state_form
from bulk_cancel.worker.state.forks import reconnected_in_child
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.rights import Role, try_rights

OLDEST_REDIS: Final = (6, 2)


_SMALL: Final = 32


class UnfitRedisError(BulkCancelError):
    """This Redis would lose or forget jobs; the message says what to change."""


def check_redis(info: Mapping[str, Any]) -> None:
    """Raises UnfitRedisError for a Redis that is too old, takes no writes, is a cluster's, or would evict our keys."""
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST_REDIS:
        raise UnfitRedisError(f"Redis {info['redis_version']} is too old; 6.2 or newer is needed")
    if info.get("arch_bits") == _SMALL:
        raise UnfitRedisError("this Redis is a 32-bit one, whose Lua cannot write µs; run a 64-bit one")
    if info.get("redis_mode") == "cluster" or info.get("cluster_enabled"):
        raise UnfitRedisError("this Redis is part of a cluster (cluster-enabled yes); run one primary, with replicas")
    if info.get("role") == "slave":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        raise UnfitRedisError(f"this Redis is a replica, which takes no writes; name its primary ({primary})")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise UnfitRedisError(f"Redis may evict our keys (maxmemory-policy {policy}); set maxmemory-policy noeviction")


def check_rights(redis: Redis, keys: Keys, role: Role, *, waits: bool = False) -> None:
    """Raises UnfitRedisError for a user who lacks a right of this role, or redis-py's errors."""
    missing = try_rights(redis, keys, role, waits=waits).missing
    if missing:
        raise UnfitRedisError(lacking(missing))


def lacking(missing: Sequence[str]) -> str:
    """What to grant, in one sentence."""
    return f"the Redis user lacks rights: ACL SETUSER … {' '.join(missing)} (OPERATING.md has the whole lines)"


def check_broker(settings: Settings) -> None:
    """Raises UnfitRedisError for a broker that is unfit; one that does not answer is waited for by who uses it."""
    with suppress(RedisError), connect_broker(settings) as broker:
        try:
            check_rights(broker, Keys(settings.key_prefix), "broker")
            check_redis(broker.info())
        except UnfitRedisError as error:
            raise UnfitRedisError(f"the broker at {redacted(settings.broker_url)}: {error}") from None


def connect_broker(settings: Settings) -> Redis:
    """A client of the broker as a state Redis has one; of several URLs, of the first."""
    url = settings.broker_url.get_secret_value()
    return _connect(url if url.startswith("sentinel:") else state_form(url.split(";")[0]))


def connect(settings: Settings, *, single_connection: bool = False) -> Redis:
    """A client of the state Redis that never repeats a command by itself: our verbs do, knowing that they may."""
    client = _connect(settings.redis_url.get_secret_value(), single_connection=single_connection)
    return reconnected_in_child(client) if single_connection else client


def connect_asyncio(settings: Settings, *, single_connection: bool = False) -> AsyncRedis:
    """As `connect`, a client of asyncio."""
    url = settings.redis_url.get_secret_value()
    options = _options(url, AsyncRetry(NoBackoff(), 0))
    if not url.startswith("sentinel:"):
        return AsyncRedis.from_url(url, single_connection_client=single_connection, **options)
    named = sentinels(url)
    asked = AsyncSentinel(named.hosts, sentinel_kwargs=_options(url, AsyncRetry(NoBackoff(), 0)))  # type: ignore[no-untyped-call]
    login = {"db": named.db, "username": named.username, "password": named.password}
    pool = AsyncSentinelConnectionPool(named.service, asked, **login, **options)  # type: ignore[no-untyped-call]
    return AsyncRedis(connection_pool=pool, single_connection_client=single_connection)


def _connect(url: str, *, single_connection: bool = False) -> Redis:
    options = _options(url, Retry(NoBackoff(), 0))
    if not url.startswith("sentinel:"):
        return Redis.from_url(url, single_connection_client=single_connection, **options)
    named = sentinels(url)
    asked = Sentinel(named.hosts, sentinel_kwargs=_options(url, Retry(NoBackoff(), 0)))  # type: ignore[no-untyped-call]
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        named.service, asked, db=named.db, username=named.username, password=named.password, **options
    )
    return Redis(connection_pool=pool, single_connection_client=single_connection)


def _options(url: str, retry: Retry | AsyncRetry) -> dict[str, Any]:
    """`retry` is an object of its own for each client: redis-py changes it."""
    return {
        **({} if url.startswith("unix:") else {"socket_keepalive": True}),  # redis-py refuses it for a socket file
        "decode_responses": True,
        "protocol": 2,
        "socket_timeout": 2,
        "socket_connect_timeout": 1,
        "retry": retry,
        "driver_info": None,  # redis-py would look its own version up on disk for each connection
    }
