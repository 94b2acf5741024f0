"""Hands what a message asks for to the shard that has its account, so that none that is away keeps others waiting.

Another shard's Redis is written to directly: what was taken is there before the message is acknowledged. One that does
not answer is left alone for a while, and no more than some threads ever wait for it; messages for it are put off.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Final, TypeVar

from redis.exceptions import RedisError

from bulk_cancel.tasks.asking import Asking, Together, answered
from bulk_cancel.tasks.errors import NotReplicatedError, RedisFullError, UnknownAccountError, UnreadableFormatError
from bulk_cancel.worker.state.shards import Shard, Shards
from bulk_cancel.worker.state.store import Store

T = TypeVar("T")

NOT_NOW: Final = (RedisFullError, NotReplicatedError, UnreadableFormatError)
"""What passes without a change of the message."""

AT_ONCE: Final = (RedisFullError, UnreadableFormatError)
"""Said at once, and of one message: Redis may have room for the next, an urgent one perhaps."""

THREADS: Final = 8
"""Of 32 that run tasks, as many may wait for one other shard; each waits a few seconds at most for a silent one."""

PATIENCE_S: Final = 0.2
"""How long a message waits for one of them."""

REST_S: Final = 2.0
"""How long a shard that did not answer is not asked again."""


class NotNowError(Exception):
    """The shard called `shard` does not take it now: the message is to come again. Never leaves the worker."""

    def __init__(self, shard: str, why: object) -> None:
        super().__init__(f"shard {shard}: {why}")
        self.shard = shard


@dataclass(slots=True)
class _Way:
    """The way to another shard."""

    places: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(THREADS))
    rests_until: float = 0.0


class Forwarder:
    """The shards of the runner as a worker sees them whose own store is `own`. Thread-safe."""

    def __init__(self, shards: Shards, own: Store) -> None:
        self.own = own
        self._shards = shards
        self._ways = {name: _Way() for name in shards.names}

    def of_account(self, account: str) -> Shard:
        """Whose it is: by the settings, else by what workers have published.

        Raises UnknownAccountError if no shard knows it, NotNowError if one that may know it does not answer.
        """
        if not self._shards.several or account in self._shards.settings.accounts:
            return self._shards.of_account(account)
        away, known = None, list[str]()
        for shard in self._shards.all():
            try:
                names = self.run(shard, lambda store: store.directory.names())
            except NotNowError as error:
                away = error
                continue
            if account in names:
                return shard
            known += names
        raise away or UnknownAccountError(account, known)

    def run(self, shard: Shard, work: Callable[[Store], T]) -> T:
        """What the work answers. Raises NotNowError where another shard does not take it now, else what it raises."""
        if shard.store is self.own:
            return work(self.own)
        way = self._ways[shard.name]
        if time.monotonic() < way.rests_until:
            raise NotNowError(shard.name, "it did not answer a moment ago")
        if not way.places.acquire(timeout=PATIENCE_S):
            raise NotNowError(shard.name, "enough messages wait for its answers")
        try:
            return work(shard.store)
        except (RedisError, *NOT_NOW) as error:
            if not isinstance(error, AT_ONCE):
                way.rests_until = time.monotonic() + REST_S
            raise NotNowError(shard.name, error) from error
        finally:
            way.places.release()

    def run_each(self, work: Callable[[Store], list[T]]) -> tuple[list[T], list[Exception]]:
        """Of every shard that has accounts, at once: what the work answers, and what it raises."""
        if not self._shards.several:
            return work(self.own), []
        ends = answered(_at_once([self._asking(shard, work) for shard in self._shards.all()]))
        return (
            [each for end in ends if not isinstance(end, Exception) for each in end],
            [end for end in ends if isinstance(end, Exception)],
        )

    def _asking(self, shard: Shard, work: Callable[[Store], list[T]]) -> Asking[list[T]]:
        yield from ()
        return self.run(shard, lambda store: [] if answered(self._shards.ask_is_empty(shard)) else work(store))


def _at_once(askings: list[Asking[T]]) -> Asking[list[T | Exception]]:
    ends: list[T | Exception] = yield Together(askings)
    return ends
