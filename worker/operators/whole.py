"""A runner as whoever decides or looks sees it: the shard that has an account or a batch, or all of them at once.

With one shard nothing is asked to find it, and errors are as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from heapq import merge
from typing import TypeVar

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.tasks.errors import UnknownAccountError
from bulk_cancel.tasks.mass import ALL_ACCOUNTS, CancelAll
from bulk_cancel.worker.operators.desks import Desks, Sees, sees_all
from bulk_cancel.worker.operators.targets import Targets, UnknownLaneError
from bulk_cancel.worker.state.shards import Each, Shard, ShardAwayError, Shards, TwoShardsError

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


class Whole:
    """The shards of a runner, or the one that was chosen; raises what `Desks` raises."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards
        self._desks = Desks(shards)

    def home(self, batch_id: str, sees: Sees = sees_all) -> Shard:
        """The shard that has the batch; of two, the one whose batch is of an account that the caller `sees`."""
        return answered(self._desks.home(batch_id, sees)).shard

    @contextmanager
    def at_account(self, account: str) -> Iterator[Shard]:
        """The shard that has the account; what Redis does not answer in the block is told with its name."""
        shard = answered(self._desks.of_account(account)).shard
        with shard.named():
            yield shard

    @contextmanager
    def at_batch(self, batch_id: str, sees: Sees = sees_all) -> Iterator[Shard]:
        """The same of a batch."""
        shard = self.home(batch_id, sees)
        with shard.named():
            yield shard

    @contextmanager
    def at_target(self, name: str) -> Iterator[Shard]:
        """The same of an account or a lane, as people name them (`operators/targets.py`)."""
        shard = self._of_target(name) if self.shards.several else next(self.shards.all())
        with shard.named():
            yield shard

    def each(self, work: Callable[[Shard], T]) -> Each[T]:
        """What the work answers for every shard, all at once; one that fails stops no other.

        A runner without shards has no other: what is wrong is raised.
        """
        return answered(self.shards.ask_each(lambda shard: _asking(work, shard)))

    def then(self, told: Each[U], work: Callable[[Shard, U], T]) -> Each[T]:
        """The same for the shards that answered before, with what they answered; what failed stays failed."""
        among = list(map(self.shards.of, told.answers))
        done = answered(self.shards.ask_each(lambda shard: _asking(_with(work, told), shard), among))
        return Each(done.answers, {**told.failed, **done.failed})

    def placed(
        self, told: Mapping[str, list[V]], at: Callable[[V], datetime], *, newest_first: bool = False
    ) -> list[tuple[str, V]]:
        """What shards answered, each in the order of its times, as one in that order, with their shards' labels."""
        rows = [[(self.label(name), row) for row in each] for name, each in told.items()]
        return list(merge(*rows, key=lambda row: at(row[1]), reverse=newest_first))

    def label(self, name: str) -> str:
        """What rows say of their shard: nothing if there is no other."""
        return name if self.shards.several else ""

    def mass_cancels(self, asked: Sequence[CancelAll]) -> Each[list[CancelAll]]:
        """Mass cancels by the shards that have their accounts; those of `*` are every shard's."""
        every = [each for each in asked if each.account == ALL_ACCOUNTS]
        homes = self.by_account([each for each in asked if each not in every], lambda each: each.account)
        of_all = {name: [*every, *homes.answers.get(name, ())] for name in self.shards.names}
        return Each({name: each for name, each in of_all.items() if each}, homes.failed)

    def by_account(self, things: Iterable[V], account_of: Callable[[V], str]) -> Each[list[V]]:
        """Things by the shards that have their accounts; a shard that is away and may have some has failed."""
        return _by_shard(things, lambda thing: answered(self._desks.of_account(account_of(thing))).shard)

    def by_batch(self, batch_ids: Iterable[str]) -> Each[list[str]]:
        """Ids by the shards that have the batches; the same."""
        return _by_shard(dict.fromkeys(batch_ids), self.home)

    def _of_target(self, name: str) -> Shard:
        """Asks all of them, since a lane may be of a User ID, and a pause of an account that left the settings."""
        if name.partition("/")[0].lower() in self.shards.settings.accounts:
            return answered(self._desks.of_account(name.partition("/")[0])).shard
        told = self.each(lambda shard: Targets(shard.store).find(name))
        if len(told.answers) > 1:
            raise TwoShardsError(f"{name!r} is known on each of the shards {' and '.join(told.answers)}; ask one")
        for found in told.answers:
            return self.shards.of(found)
        unknown = [error for error in told.failed.values() if isinstance(error, UnknownLaneError | UnknownAccountError)]
        for error in told.failed.values():
            if error not in unknown:
                raise error
        if "/" in name:
            raise UnknownLaneError(name, [lane for error in unknown for lane in getattr(error, "known", ())])
        return answered(self._desks.of_account(name)).shard  # raises, with the accounts of all of them


def _asking(work: Callable[[Shard], T], shard: Shard) -> Asking[T]:
    yield from ()
    return work(shard)


def _with(work: Callable[[Shard, U], T], told: Each[U]) -> Callable[[Shard], T]:
    return lambda shard: work(shard, told.answers[shard.name])


def _by_shard(things: Iterable[V], shard_of: Callable[[V], Shard]) -> Each[list[V]]:
    found: dict[str, list[V]] = {}
    away: dict[str, Exception] = {}
    for thing in things:
        try:
            found.setdefault(shard_of(thing).name, []).append(thing)
        except ShardAwayError as error:
            away[error.shard] = error
    return Each(found, away)
