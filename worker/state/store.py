"""One pool of connections, and the parts that speak over it: for all who submit, read or work."""

import asyncio
from dataclasses import dataclass
from typing import Protocol, cast

from redis import Redis

from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.users import users_of
from bulk_cancel.worker.state.admission import Admission, OneAtATime
from bulk_cancel.worker.state.batches import Batches
from bulk_cancel.worker.state.connection import connect, connect_asyncio
from bulk_cancel.worker.state.directory import Directory
from bulk_cancel.worker.state.forks import ForkLock
from bulk_cancel.worker.state.formats import FORMATS, Formats
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.refused import Refusals
from bulk_cancel.worker.state.scripts import Scripts


class Connect(Protocol):
    """Gives a client of the state Redis."""

    def __call__(self, settings: Settings, *, single_connection: bool = False) -> Redis:
        """One connection of its own, or a pool."""


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


def open_store(settings: Settings, formats: Formats = FORMATS) -> Store:
    """Builds the parts, which read `formats`; nothing is sent to Redis before one of them is used."""
    return _open(settings, connect, ForkLock(), formats)


def open_asyncio_store(settings: Settings) -> Store:
    """The parts over redis-py's client of asyncio: what begins with `ask_` is of use, and nothing else."""
    return _open(settings, cast("Connect", connect_asyncio), cast("OneAtATime", asyncio.Lock()), FORMATS)


def _open(settings: Settings, connect: Connect, lock: OneAtATime, formats: Formats) -> Store:
    redis, keys = connect(settings), Keys(settings.key_prefix)
    scripts = Scripts(redis, keys.prefix, formats=formats)
    directory = Directory(redis, keys, users_of(settings), window_s=settings.window_s)
    # WAIT speaks of its own connection's writes, so there is one for all that is handed in
    alone = connect(settings, single_connection=True) if settings.wait_replicas else redis
    admission = Admission(
        alone,
        Scripts(alone, keys.prefix, formats=formats) if settings.wait_replicas else scripts,
        directory,
        deadline_s=settings.deadline_s,
        retention_s=settings.retention_s,
        wait_replicas=settings.wait_replicas,
        several=len(settings.one_of) > 1,
        lock=lock,
    )
    batches, refusals = Batches(redis, keys, formats), Refusals(redis, keys)
    return Store(settings, redis, keys, scripts, directory, admission, batches, refusals)


def adopt(store: Store) -> None:
    """Declares that nothing was sent through another life of this Redis; only for who has just started it empty."""
    store.scripts.run("adopt", {})
