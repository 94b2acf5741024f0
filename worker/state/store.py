"""One pool of connections, and the parts that speak over it: for all who submit, read or work."""

from dataclasses import dataclass
from functools import cache

from redis import Redis

from bulk_cancel.worker.config.settings import Settings, load_settings
from bulk_cancel.worker.config.users import users_of
from bulk_cancel.worker.state.admission import Admission
from bulk_cancel.worker.state.batches import Batches
from bulk_cancel.worker.state.connection import connect
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


def open_store(settings: Settings) -> Store:
    """Builds the parts; nothing is sent to Redis before one of them is used."""
    redis, keys = connect(settings), Keys(settings.key_prefix)
    scripts = Scripts(redis, keys.prefix)
    directory = Directory(redis, keys, users_of(settings), window_s=settings.window_s)
    return Store(
        settings,
        redis,
        keys,
        scripts,
        directory,
        _admission(settings, redis, scripts, directory),
        Batches(redis, keys),
        Refusals(redis, keys),
    )


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
