"""The runner of a test: real doors and verbs on a Redis within this process, and endings that the test chooses.

What a producer sends is taken as workers take it, with the same refusals. What workers do with it then, the test says.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

from bulk_cancel.tasks.client import BulkCancel
from bulk_cancel.tasks.errors import UnknownBatchError
from bulk_cancel.tasks.outcomes import BatchState, Row
from bulk_cancel.tasks.testing.endings import Endings, user_of
from bulk_cancel.tasks.testing.queues import take_messages
from bulk_cancel.tasks.testing.server import fake_redis
from bulk_cancel.tasks.utf8 import HALF, is_writable
from bulk_cancel.worker.config.dotenv import no_env_file
from bulk_cancel.worker.config.faults import PREFIX
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.operators.past import past_batches
from bulk_cancel.worker.service.forwarder import Forwarder
from bulk_cancel.worker.service.runtime import Runtime, current, set_current
from bulk_cancel.worker.state.directory import Directory
from bulk_cancel.worker.state.refused import ENTRIES_KEPT, Entry
from bulk_cancel.worker.state.shards import default_shards
from bulk_cancel.worker.state.store import Store, adopt

if TYPE_CHECKING:
    import pytest

LIMITS: Final = Limits(single=60, batch=300)
"""What a receipt goes by when it says how long the exchange's limits make the last order wait."""


class Kit:
    """One runner. `url` is the address of its Redis, for state and broker alike; `client` speaks to it.

    `batches`, `orders`, `refused`, `end`, `find` and `finish` first take what waits in its queues, so that a test need
    not wait for a worker; calls of a client do not: `deliver` before them.
    """

    def __init__(self, url: str, store: Store) -> None:
        self.url = url
        self._store = store
        self._endings = Endings(store)

    @property
    def client(self) -> BulkCancel:
        """A client of this runner."""
        return BulkCancel(self.url, key_prefix=self._store.settings.key_prefix)

    def serve(self, *accounts: str) -> None:
        """These are the accounts that workers serve from now on, each its own User ID; others are refused."""
        _check(**{f"account {name!r}": name for name in accounts})
        users = {name: user_of(name, limits=LIMITS) for name in accounts}
        store = self._store
        Directory(store.redis, store.keys, users, window_s=store.settings.window_s).publish(store.scripts)

    def deliver(self) -> int:
        """Takes the messages that wait in the queues, as a worker does; how many there were.

        Whatever mass cancel is over by then is looked after, so that its report is over, too.
        """
        taken = take_messages(self._store)
        self._endings.survey()
        return taken

    def batches(self) -> list[BatchState]:
        """Every batch that was admitted, in the order in which they came."""
        self.deliver()
        return list(past_batches(self._store))[::-1]

    def orders(self, batch_id: str) -> list[Row]:
        """The orders of a batch as they stand, in the order in which they were handed in; raises UnknownBatchError."""
        self._deliver_for(batch_id)
        return self._store.batches.rows(batch_id)

    def refused(self) -> list[Entry]:
        """What was refused at the door, with every reason, the first one first."""
        self.deliver()
        return self._store.refusals.newest(ENTRIES_KEPT)[::-1]

    def end(
        self,
        batch_id: str,
        status: str = "canceled",
        *,
        ids: Collection[str] | None = None,
        accFillSz: str = "0",
        sCode: str = "",
        sMsg: str = "",
    ) -> BatchState:
        """Lets orders of the batch end: those named by `ids` (of either kind), or all that wait; the batch then.

        `status` is canceled, filled, gone, rejected or exhausted; `accFillSz` is what was filled of each.

        Raises:
            ValueError: no order ends so, or a text is none that Redis can keep.
            LookupError: an order of these ids does not wait; nothing ended.
            RuntimeError: not all of them ended, since nothing can be sent now: their account is paused, say.
        """
        _check(accFillSz=accFillSz, sCode=sCode, sMsg=sMsg)
        self._deliver_for(batch_id)
        return self._endings.end(batch_id, status, ids=ids, filled=accFillSz, code=sCode, message=sMsg)

    def find(self, batch_id: str, orders: Sequence[dict[str, str]]) -> None:
        """A listing of the mass cancel finds these open orders: `instId`, `ordId`, and `clOrdId` if there is one.

        Of algo orders `algoId` and `algoClOrdId`.
        """
        for order in orders:
            _check(**order)
        self._deliver_for(batch_id)
        self._endings.find(batch_id, orders)

    def finish(self, batch_id: str) -> None:
        """The mass cancel ends: nothing more is open in its scope, and nothing is left that can place orders.

        Its report is over as soon as all that it found has ended.
        """
        self._deliver_for(batch_id)
        self._endings.finish(batch_id)

    def _deliver_for(self, batch_id: str) -> None:
        """Takes what waits, before something is asked of a batch; raises UnknownBatchError for what is no id."""
        if not is_writable(batch_id):
            raise UnknownBatchError(batch_id)
        self.deliver()


def _check(**texts: str) -> None:
    """Raises ValueError for text that Redis cannot keep."""
    for name, text in texts.items():
        if not is_writable(text):
            raise ValueError(f"{name}: {HALF}")


@contextmanager
def opened(
    accounts: Sequence[str],
    patch: "pytest.MonkeyPatch",
    redis: Callable[[], AbstractContextManager[str]] = fake_redis,
) -> Iterator[Kit]:
    """A kit that the environment names, as long as the block lasts; `redis` gives the address of an empty one.

    It is all that the environment names, by what `patch` undoes: no test may write into the runner of who runs it.
    """
    before = current()
    with redis() as url, no_env_file():
        _name_alone(url, patch)
        default_shards.cache_clear()
        shards = default_shards()
        store = next(shards.all()).store
        adopt(store)
        set_current(cast("Runtime", SimpleNamespace(store=store, forwarder=Forwarder(shards, store))))
        kit = Kit(url, store)
        kit.serve(*accounts)
        try:
            yield kit
        finally:
            set_current(before)
            store.redis.close()
            default_shards.cache_clear()


def _name_alone(url: str, patch: "pytest.MonkeyPatch") -> None:
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        patch.delenv(name)
    patch.setenv(f"{PREFIX}REDIS_URL", url)
    patch.setenv(f"{PREFIX}BROKER_URL", url)
