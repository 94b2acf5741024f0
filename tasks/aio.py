"""The client and its batches for asyncio, on redis-py's client of asyncio: everything as in `client.py`, but awaited.

async with BulkCancel("redis://127.0.0.1:6379/0") as runner:
    batch = await runner.submit(orders, account="desk1")
    state = await batch.wait(30)
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack, cast

from bulk_cancel.tasks.asking import awaited
from bulk_cancel.tasks.client import LISTEN_S, ToldClient, as_position
from bulk_cancel.tasks.errors import NotCompleteError
from bulk_cancel.tasks.fields import BatchFields, MassFields
from bulk_cancel.tasks.handles import RETRIED, Held, values_of
from bulk_cancel.tasks.outcomes import BatchState, Outcome, Retried, Row, Withdrawn
from bulk_cancel.tasks.receipts import MassReceipt, Receipt

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from bulk_cancel.tasks.messages import Order
    from bulk_cancel.worker.books.mass.report import MassReport
    from bulk_cancel.worker.config.settings import Settings
    from bulk_cancel.worker.operators.desk import Desk
    from bulk_cancel.worker.operators.desks import Desks
    from bulk_cancel.worker.state.shards import Shards


class Handle(Held):
    """A batch of one runner, as `handles.Handle` is."""

    __slots__ = ()

    async def _at_home(self) -> "Desk":
        return await awaited(self._opened.home(self.batch_id))

    async def status(self) -> BatchState:
        """How the batch stands now."""
        return await awaited((await self._at_home()).status(self.batch_id))

    async def wait(self, timeout_s: float | None = None) -> BatchState:
        """The batch once every order of it has an outcome; raises NotCompleteError after `timeout_s`."""
        for asking in (await self._at_home()).waiting(self.batch_id, timeout_s):
            state = await awaited(asking)
        if not state.complete:
            raise NotCompleteError(state)
        return state

    async def outcomes(self) -> AsyncIterator[Row]:
        """Every order of the batch as it stands, each once, in no order."""
        for asking in (await self._at_home()).reading(self.batch_id):
            for row in await awaited(asking):
                yield row

    async def report(self) -> "MassReport":
        """How a mass cancel stands."""
        return await awaited((await self._at_home()).report(self.batch_id))

    async def withdraw(self, *, by: str, reason: str = "") -> Withdrawn:
        """Takes the batch back from every order that was not sent; a mass cancel finds nothing more."""
        return await awaited((await self._at_home()).withdraw(self.batch_id, by=by, reason=reason))

    async def release(self, *, by: str, reason: str = "") -> bool:
        """Ends the hold of a mass cancel, as `Handle.release` does."""
        return await awaited((await self._at_home()).release(self.batch_id, by=by, reason=reason))

    async def retry(
        self, *, by: str, reason: str = "", statuses: Sequence[str] = RETRIED, deadline_s: int | None = None
    ) -> Retried:
        """Lets the orders that ended in one of `statuses` go again."""
        desk = await self._at_home()
        asked = desk.retry(self.batch_id, by=by, reason=reason, statuses=statuses, deadline_s=deadline_s)
        return await awaited(asked)


@dataclass(frozen=True, slots=True)
class Batch(Handle):
    """A batch by its id."""

    batch_id: str
    _desk: "Desk | Desks | None" = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Submitted(Receipt, Handle):
    """The receipt of a batch, with the batch in hand."""

    _desk: "Desk | Desks | None" = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MassSubmitted(MassReceipt, Handle):
    """The receipt of a mass cancel, with its batch in hand."""

    _desk: "Desk | Desks | None" = field(default=None, repr=False, compare=False)


class BulkCancel(ToldClient):
    """A client of one runner for the tasks of one event loop; `async with` closes its connections."""

    @staticmethod
    def _shards(told: "Settings") -> "Shards":
        from bulk_cancel.worker.state.shards import Shards
        from bulk_cancel.worker.state.store import open_asyncio_store

        return Shards(told, open_asyncio_store)

    async def submit(
        self, orders: Iterable["Order | Mapping[str, object]"], *, account: str, **fields: Unpack[BatchFields]
    ) -> Submitted:
        """Hands in one batch; every order is in Redis when this returns."""
        desk = await awaited(self._desks.of_account(account))
        receipt = await awaited(desk.submit(orders, {"account": account, **fields}))
        return Submitted(**values_of(receipt), _desk=desk)

    async def submit_all(self, account: str, **fields: Unpack[MassFields]) -> list[MassSubmitted]:
        """Asks for everything to be cancelled that is open and fits every filter."""
        taken = await awaited(self._desks.submit_all({"account": account, **fields}))
        return [MassSubmitted(**values_of(receipt), _desk=desk) for desk, receipt in taken]

    def batch(self, batch_id: str) -> Batch:
        """The batch with this id; nothing is asked yet."""
        return Batch(batch_id, self._desks)

    async def outcomes_since(self, position: str | datetime = "0", *, timeout_s: float = 0) -> list[Outcome]:
        """Outcomes of all batches after `position`, at most 1,000 at once; waits at most a second for the first."""
        return await awaited(self._desks.since(as_position(position), min(timeout_s, LISTEN_S)))

    async def follow(self, position: str | datetime = "0") -> AsyncIterator[Outcome]:
        """Outcomes of all batches after `position`, as they come; raises as `client.BulkCancel.follow` does."""
        position = as_position(position)
        while True:
            for outcome in await self.outcomes_since(position, timeout_s=LISTEN_S):
                position = outcome.position
                yield outcome

    async def newest(self) -> str:
        """The position after which outcomes are still to come."""
        return await awaited(self._desks.newest())

    async def close(self) -> None:
        """Closes the connections."""
        for store in self._desks.shards.opened:
            for redis in (store.redis, store.admission.redis):
                await cast("Redis", redis).aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
