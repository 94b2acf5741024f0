"""What does a process need that submits or reads? One pool of connections, and the parts that speak over it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.config.settings import Settings, load_settings
from bulk_cancel.worker.config.urls import sentinels
from bulk_cancel.worker.config.users import users_of
from bulk_cancel.worker.operators.audit import Audit
from bulk_cancel.worker.operators.decisions import Hand
from bulk_cancel.worker.operators.targets import Targets
from bulk_cancel.worker.state.admission import Admission
from bulk_cancel.worker.state.batches import Batches
from bulk_cancel.worker.state.directory import Directory
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.refused import Refusals
from bulk_cancel.worker.state.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Store:
    """The state of one runner, as producers, readers and workers share it."""

    settings: Settings
    redis: Redis
    keys: Keys
    scripts: Scripts
    directory: Directory
    admission: Admission
    batches: Batches
    refusals: Refusals
    masses: Masses
    hand: Hand
    audit: Audit


def open_store(settings: Settings) -> Store:
    """Builds the parts; nothing is sent to Redis before one of them is used."""
    redis, keys = connect(settings), Keys(settings.key_prefix)
    scripts = Scripts(redis, keys.prefix)
    directory = Directory(redis, keys, users_of(settings), window_s=settings.window_s)
    batches, retention_s = Batches(redis, keys), settings.retention_s
    admission = _admission(settings, redis, scripts, directory)
    targets = Targets(redis, keys, directory)
    return Store(
        settings,
        redis,
        keys,
        scripts,
        directory,
        admission,
        batches,
        Refusals(redis, keys),
        Masses(redis, keys, scripts, admission, directory, deadline_s=settings.deadline_s, retention_s=retention_s),
        Hand(redis, keys, scripts, batches, targets, deadline_s=settings.deadline_s, retention_s=retention_s),
        Audit(redis, keys, retention_s=retention_s),
    )


def connect(settings: Settings, *, single_connection: bool = False) -> Redis:
    """A client of the state Redis that never repeats a command by itself: our verbs do, knowing that they may."""
    url = settings.redis_url.get_secret_value()
    options = _options()
    if not url.startswith("sentinel:"):
        return Redis.from_url(url, single_connection_client=single_connection, **options)
    named = sentinels(url)
    asked = Sentinel(named.hosts, sentinel_kwargs=_options())  # type: ignore[no-untyped-call]
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        named.service, asked, db=named.db, username=named.username, password=named.password, **options
    )
    return Redis(connection_pool=pool, single_connection_client=single_connection)


def _options() -> dict[str, Any]:
    """A retry object of its own for each client: redis-py changes it."""
    return {
        "decode_responses": True,
        "protocol": 2,
        "socket_timeout": 2,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,  # redis-py would look its own version up on disk for each connection
    }


def _admission(settings: Settings, redis: Redis, scripts: Scripts, directory: Directory) -> Admission:
    replicas = settings.wait_replicas
    if replicas:
        redis = connect(settings, single_connection=True)
        scripts = Scripts(redis, settings.key_prefix)
    return Admission(
        redis,
        scripts,
        directory,
        deadline_s=settings.deadline_s,
        retention_s=settings.retention_s,
        wait_replicas=replicas,
    )


@cache
def default_store() -> Store:
    """The store that this process's environment describes, opened once; raises SettingsError."""
    return open_store(load_settings())


def adopt(store: Store) -> None:
    """Declares that nothing was sent through another life of this Redis; only for who has just started it empty."""
    store.scripts.run("adopt", {})
