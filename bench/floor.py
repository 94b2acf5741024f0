"""What do the HTTP calls alone cost? The same ones from one thread, without Redis, limiter or record.

The thread writes a call, awaits the answers of all in flight with epoll, and writes the next one when one has landed:
the least that our client can do. Threads that each wait for an answer cost more, and flattered all ratios to it.
"""

import time
from collections.abc import Iterable, Sequence
from threading import Event
from typing import Final

from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.okx.limits import BATCH_SIZE
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.meters import Limits
from bulk_cancel.worker.simulator.process import Simulator
from bulk_cancel.worker.state.chunks import chunks

IN_FLIGHT: Final = 24
LATE_S: Final = 60.0
_INSTRUMENT: Final = "BTC-USDT"
_WHENEVER: Final = float("inf")


def floor_cpu_s(orders: int, *, batched: bool) -> float:
    """CPU seconds per 1,000 orders of our client on an exchange without limits, connections open."""
    with Simulator(Config(limits=Limits(single=None, batch=None))) as exchange:
        client = OkxClient(timeout_s=3, pool=IN_FLIGHT)
        client.warm(exchange.url, IN_FLIGHT)
        account = Credentials(
            "bare", DEFAULT_KEY.key, DEFAULT_KEY.secret, DEFAULT_KEY.passphrase, exchange.url, demo=False
        )
        client.clock.time_ms(exchange.url)
        refs = [OrderRef(_INSTRUMENT, each) for each in exchange.control.place(DEFAULT_KEY.uid, _INSTRUMENT, orders)]
        calls = _Calls(client, account, chunks(refs, BATCH_SIZE if batched else 1), batched=batched)
        began = time.process_time()
        calls.run()
        used_s = time.process_time() - began
        client.close()
        return used_s / orders * 1000


class _Calls:
    """Each call that lands begins the next one on the thread on which it landed; only the first ones begin on ours."""

    def __init__(
        self, client: OkxClient, account: Credentials, parts: Iterable[Sequence[OrderRef]], *, batched: bool
    ) -> None:
        self._client = client
        self._account = account
        self._left = [*parts]
        self._batched = batched
        self._to_land = len(self._left)
        self._failed: ExchangeError | None = None
        self._over = Event()

    def run(self) -> None:
        """All of them; raises what the last one failed with that did."""
        for _ in range(IN_FLIGHT):
            self._begin()
        if not self._over.wait(LATE_S):
            raise TimeoutError(f"{self._to_land} calls did not land in {LATE_S:.0f} s")
        if self._failed:
            raise self._failed

    def _begin(self) -> None:
        try:
            part = self._left.pop()
        except IndexError:
            return
        self._client.begin_cancel(self._account, part, batch=self._batched, write_by=_WHENEVER, then=self._landed)

    def _landed(self, came: Answer | ExchangeError) -> None:
        """On the one thread that awaits answers."""
        if isinstance(came, ExchangeError):
            self._failed = came
        self._to_land -= 1
        if self._to_land:
            self._begin()
        else:
            self._over.set()
