"""The stores of a runner's shards, each opened when it is first asked for, and which of them an account is of.

A runner without SHARDS has one store, and everything here costs it nothing: no question is asked to find it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from redis import exceptions
from redis.exceptions import RedisError

from bulk_cancel.tasks.asking import Asking, Together, answered
from bulk_cancel.tasks.errors import BulkCancelError, SettingsError, UnknownAccountError
from bulk_cancel.worker.config.settings import Settings, load_settings, redacted
from bulk_cancel.worker.config.shards import on_shard, shard_names
from bulk_cancel.worker.state.forks import ForkLock
from bulk_cancel.worker.state.scripts import TRANSIENT
from bulk_cancel.worker.state.store import Store, open_store

T = TypeVar("T")


class ShardAwayError(BulkCancelError, exceptions.ConnectionError):
    """Redis of `shard` did not answer: what was asked of it is not known, and not done; redis-py's error is the cause.

    It is a ConnectionError of redis-py's, too, so that who waits for Redis waits for a shard.
    """

    def __init__(self, shard: str, where: str, why: object) -> None:
        super().__init__(f"shard {shard} is away: no answer from Redis at {where}: {why}")
        self.shard = shard


class TwoShardsError(BulkCancelError):
    """What may be on one shard only was found on two; the message names them."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One Redis of a runner, with its name."""

    name: str
    store: Store
    alone: bool
    """The runner has no other: its errors are redis-py's own."""
    ask_where: Callable[[str], Asking[str]]
    """The name of the shard that has an account; empty if that is not known."""

    def ask(self, asking: Asking[T]) -> Asking[T]:
        """The same question; that Redis did not answer is told with the shard's name. Raises ShardAwayError."""
        return asking if self.alone else self._named(asking)

    @contextmanager
    def named(self) -> Iterator[None]:
        """The same of what is asked within the block."""
        try:
            yield
        except ShardAwayError:
            raise
        except TRANSIENT as error:
            if self.alone:
                raise
            raise ShardAwayError(self.name, redacted(self.store.settings.redis_url), error) from error

    @property
    def label(self) -> str:
        """Its name where there are others from which it is told apart, else empty."""
        return "" if self.alone else self.name

    def _named(self, asking: Asking[T]) -> Asking[T]:
        with self.named():
            return (yield from asking)


@dataclass(frozen=True, slots=True)
class Each(Generic[T]):
    """What shards answered, by name, and why others did not (ShardAwayError, another BulkCancelError, redis-py's)."""

    answers: Mapping[str, T]
    failed: Mapping[str, Exception]


class Shards:
    """The shards of one runner, by name; `open_one` opens the store of settings. Thread-safe."""

    def __init__(self, settings: Settings, open_one: Callable[[Settings], Store] = open_store) -> None:
        self.settings = settings
        self.names = shard_names(settings)
        """`default` first, if it is one of them."""
        self._open = open_one
        self._opened: dict[str, Shard] = {}
        self._lock = ForkLock()

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.names) > 1

    def of(self, name: str) -> Shard:
        """The shard called `name`; nothing is asked of its Redis. KeyError if there is none."""
        with self._lock:
            if name not in self._opened:
                if name not in self.names:
                    raise KeyError(name)
                store = self._open(on_shard(self.settings, name))
                self._opened[name] = Shard(name, store, not self.several, self._where)
            return self._opened[name]

    def all(self) -> Iterator[Shard]:
        """Every shard, in the order of `names`."""
        return map(self.of, self.names)

    @property
    def opened(self) -> list[Store]:
        """The stores that have been asked for."""
        with self._lock:
            return [shard.store for shard in self._opened.values()]

    def ask_each(self, ask: Callable[[Shard], Asking[T]], among: Sequence[Shard] | None = None) -> Asking["Each[T]"]:
        """Asks every shard, or these, at once; one that fails stops no other. Raises what is wrong with the program."""
        shards = list(self.all() if among is None else among)
        if not self.several:
            told = {}
            for shard in shards:
                told[shard.name] = yield from ask(shard)
            return Each(told, {})
        ends = (yield Together([shard.ask(ask(shard)) for shard in shards])) if shards else []
        ended = dict(zip((shard.name for shard in shards), ends, strict=True))
        failed = {name: end for name, end in ended.items() if isinstance(end, Exception)}
        for error in failed.values():
            if not isinstance(error, BulkCancelError | RedisError):
                raise error
        return Each({name: end for name, end in ended.items() if name not in failed}, failed)

    def of_account(self, account: str) -> Shard:
        """The shard that has the account: raises UnknownAccountError, ShardAwayError, TwoShardsError."""
        return answered(self.ask_of_account(account))

    def ask_of_account(self, account: str) -> Asking[Shard]:
        """As `of_account`, over either client; asks nothing if there is one shard, or the settings name it."""
        if not self.several:
            return self.of(self.names[0])
        own = self.settings.accounts.get(account)
        if own:
            return self.of(own.shard)
        return (yield from self._published(account))

    def _where(self, account: str) -> Asking[str]:
        """By what workers tell, since settings may be older; a shard that does not answer is passed over."""
        told = yield from self.ask_each(lambda shard: shard.store.directory.ask_served(account))
        found = [name for name, serves in told.answers.items() if serves]
        return found[0] if len(found) == 1 else ""

    def ask_is_empty(self, shard: Shard) -> Asking[bool]:
        """Whether our settings have accounts and none is of this shard, and its workers tell of none either.

        A shard without others is not, and is not asked.
        """
        if not self.several or not self.settings.accounts or on_shard(self.settings, shard.name).accounts:
            return False
        return not (yield from shard.store.directory.ask_all())

    def _published(self, account: str) -> Asking[Shard]:
        """By what workers tell; while a shard is away, an account that no other one has may be its."""
        told = yield from self.ask_each(lambda shard: shard.store.directory.ask_knows(account))
        found = [name for name, knows in told.answers.items() if knows]
        if len(found) > 1:
            raise TwoShardsError(_on_two(account, found))
        if found:
            return self.of(found[0])
        for error in told.failed.values():
            raise error
        known = yield from self.ask_each(lambda shard: shard.store.directory.ask_all())
        raise UnknownAccountError(account, [name for names in known.answers.values() for name in names])


def _on_two(account: str, found: Sequence[str]) -> str:
    return (
        f"account {account!r} is known on the shards {' and '.join(found)}: it was moved, but the old one not told; "
        f"let that one go (bulk-cancel disown {account})"
    )


def alone(store: Store) -> Shards:
    """The shards of a runner that has this one store."""
    return Shards(store.settings, lambda _: store)


@cache
def default_shards() -> Shards:
    """The shards that this process's environment describes, opened once; raises SettingsError."""
    return Shards(load_settings())


def default_store() -> Store:
    """The store of the shard that this process's environment chooses; raises SettingsError."""
    shards = default_shards()
    if shards.settings.shard not in shards.names:
        raise SettingsError(f"BULK_CANCEL_SHARD: set it to one of {', '.join(shards.names)}")
    return shards.of(shards.settings.shard).store
