"""What every endpoint speaks to: the desk of each shard of a runner, and which of them an account or a batch is of."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Lock
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from redis.exceptions import RedisError

from bulk_cancel.tasks.asking import answered
from bulk_cancel.tasks.errors import UnknownAccountError, UnreadableFormatError
from bulk_cancel.tasks.mass import CancelAll
from bulk_cancel.worker.gateway.callers import Caller
from bulk_cancel.worker.gateway.problems import problem_of
from bulk_cancel.worker.operators.audit import Audit
from bulk_cancel.worker.operators.decisions import Decisions
from bulk_cancel.worker.operators.desks import Desks as ShardDesks
from bulk_cancel.worker.operators.desks import Taken
from bulk_cancel.worker.operators.merging import labelled
from bulk_cancel.worker.operators.status import Snapshot, busy_lanes, read_snapshot
from bulk_cancel.worker.operators.targets import Targets
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.state.shards import Each, Shard, Shards
from bulk_cancel.worker.state.window import LaneLoad, earliest_s

T = TypeVar("T")

FRESH_S: Final = 0.5
"""A snapshot serves everybody for so long: what is asked of Redis does not grow with those who look."""

IDLE_LANES_S: Final = 5.0


class Desk:
    """One shard of a runner, which is all of it as a rule."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.store = store = shard.store
        self.decisions = Decisions(store, shard.ask_where)
        self.audit = Audit(store)
        self.targets = Targets(store)
        self._lock = Lock()
        self._snapshot: Snapshot | None = None
        self._read_at = 0.0
        self._last: Snapshot | None = None
        self._all_read_at = 0.0
        self._failed: tuple[float, Exception] | None = None
        self.changes = 0
        """How often something was done here: what was read before is old."""

    def row(self, row: Any) -> Any:  # noqa: ANN401 (as `labelled`)
        """A row of an answer, with the name of the shard if there are others."""
        return labelled(row, self.shard.label)

    def snapshot(self) -> Snapshot:
        """The shard as it stood at most `FRESH_S` ago; raises UnreadableFormatError, redis-py's errors.

        A Redis that is silent keeps one who asks waiting; those behind are told the same.
        """
        came = time.monotonic()
        with self._lock:
            if self._failed and self._failed[0] > came:
                raise self._failed[1]
            if self._snapshot is None or time.monotonic() - self._read_at > FRESH_S:
                self._read_at = time.monotonic()
                self._snapshot = self._fresh()
            return self._snapshot

    def _fresh(self) -> Snapshot:
        try:
            return self._with_masses(self._read())
        except (RedisError, UnreadableFormatError) as error:
            self._failed, self._snapshot = (time.monotonic(), error), None
            raise

    def _read(self) -> Snapshot:
        """Lanes without work are read every `IDLE_LANES_S` only: there may be thousands of them."""
        if self._last is None or time.monotonic() - self._all_read_at > IDLE_LANES_S:
            self._all_read_at = time.monotonic()
            self._last = read_snapshot(self.store)
            return self._last
        busy = {lane.name for lane in self._last.lanes if lane.waiting} | busy_lanes(self.store)
        found = read_snapshot(self.store, busy)
        idle = [lane for lane in self._last.lanes if lane.name not in busy]
        self._last = replace(found, lanes=[*found.lanes, *idle])
        return self._last

    def _with_masses(self, snapshot: Snapshot) -> Snapshot:
        """With the batches of all running mass cancels: nothing of one may wait while it lists."""
        told = {state.batch_id for state in snapshot.batches}
        untold = [mass.batch_id for mass in snapshot.masses if mass.batch_id not in told]
        if not untold:
            return snapshot
        return replace(snapshot, batches=[*self.store.batches.known(untold), *snapshot.batches])

    def changed(self) -> None:
        """Whoever has done something sees it at once."""
        self.changes += 1
        self._snapshot = None

    def estimate_s(self, account: str) -> float | None:
        """Seconds in which the limits allow all that waits for the account's User ID to be sent."""
        info = self.store.directory.all().get(account)
        if info is None:
            return None
        snapshot = self.snapshot()
        loads = (
            (lane.name, LaneLoad(lane.queued + lane.retrying, lane.single_used, lane.batch_used, 0.0))
            for lane in snapshot.lanes
            if lane.uid == info.uid and lane.waiting
        )
        return max((earliest_s(load, *info.limits_of(lane), info.window_s) for lane, load in loads), default=0.0)


class Desks:
    """The desks of all shards. A shard that is away is named (ShardAwayError); with one shard errors are redis-py's."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards
        self.whole = Whole(shards)
        self._desks: dict[str, Desk] = {}
        self._lock = Lock()

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return self.shards.several

    def of(self, shard: Shard) -> Desk:
        """The desk of a shard."""
        with self._lock:
            if shard.name not in self._desks:
                self._desks[shard.name] = Desk(shard)
            return self._desks[shard.name]

    def all(self) -> list[Desk]:
        """Every desk; nothing is asked."""
        return [self.of(shard) for shard in self.shards.all()]

    @contextmanager
    def at_account(self, account: str) -> Iterator[Desk]:
        """The desk of an account, for the length of a block; raises UnknownAccountError."""
        with self.whole.at_account(account) as shard:
            yield self.of(shard)

    @contextmanager
    def at_batch(self, batch_id: str, caller: Caller) -> Iterator[Desk]:
        """The desk of a batch: raises UnknownBatchError only if every shard answered, and TwoShardsError."""
        with self.whole.at_batch(batch_id, caller.sees) as shard:
            yield self.of(shard)

    @contextmanager
    def at_target(self, name: str) -> Iterator[Desk]:
        """The desk of an account or a lane, as people name them."""
        with self.whole.at_target(name) as shard:
            yield self.of(shard)

    def each(self, call: Callable[[Desk], T], accounts: Sequence[str] = ()) -> Each[T]:
        """What every desk answers, or those of these accounts, all at once; raises if none does."""
        among = self._homes(accounts) if accounts else self.shards.names
        told = self.whole.then(Each(dict.fromkeys(among), {}), lambda shard, _: call(self.of(shard)))
        if not told.answers:
            for error in told.failed.values():
                raise error
        return told

    def _homes(self, accounts: Sequence[str]) -> list[str]:
        """The shards of these accounts; one that nobody knows has nothing, wherever it is looked for."""
        found = []
        for account in accounts:
            with suppress(UnknownAccountError):
                found.append(answered(self.shards.ask_of_account(account)).name)
        return found or [self.shards.names[0]]

    def every(self, call: Callable[[Desk], T], accounts: Sequence[str] = ()) -> list[T]:
        """The same of every desk where nothing may be missing: raises if one does not answer, or one of these accounts.

        They may have left something where they were before they were moved: a desk that answers tells that, too.
        """
        needed = self._homes(accounts) if accounts else self.shards.names
        told = self.each(call)
        for name in set(needed) & told.failed.keys():
            raise told.failed[name]
        return list(told.answers.values())

    def take_all(self, asked: CancelAll) -> list[Taken]:
        """Takes a mass cancel; of `*` on every shard. Raises PartlyTakenError if one of them did not take it."""
        return answered(ShardDesks(self.shards).take_all(asked))

    def is_empty(self, desk: Desk) -> bool:
        """Whether the shard has no account, so that `*` means nothing there."""
        return answered(self.shards.ask_is_empty(desk.shard))

    def changed(self) -> None:
        """Whoever has done something sees it at once, wherever it was."""
        for desk in self.all():
            desk.changed()

    def away(self, told: Each[Any]) -> dict[str, object]:
        """What an answer says of the shards that it knows nothing of; nothing where there is one shard."""
        return {"away": whys(told.failed)} if self.several else {}


def whys(failed: Mapping[str, Exception]) -> dict[str, str]:
    """Why shards did not answer, by name, as callers are told it."""
    return {name: problem_of(error).detail for name, error in failed.items()}


async def _desks(request: Request) -> Desks:
    desks: Desks = request.app.state.desks
    return desks


Runner = Annotated[Desks, Depends(_desks)]
