"""What do the HTTP calls alone cost? The same ones by bare threads of one process, without Redis, limiter or record."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.limits import BATCH_SIZE
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.meters import Limits
from bulk_cancel.worker.simulator.process import Simulator
from bulk_cancel.worker.state.chunks import chunks

THREADS: Final = 24
_INSTRUMENT: Final = "BTC-USDT"
_WHENEVER: Final = float("inf")


def floor_cpu_s(orders: int, *, batched: bool) -> float:
    """CPU seconds per 1,000 orders of our client on an exchange without limits, connections open."""
    with Simulator(Config(limits=Limits(single=None, batch=None))) as exchange:
        client = OkxClient(timeout_s=3, pool=THREADS)
        client.warm(exchange.url, THREADS)
        account = Credentials(
            "bare", DEFAULT_KEY.key, DEFAULT_KEY.secret, DEFAULT_KEY.passphrase, exchange.url, demo=False
        )
        refs = [OrderRef(_INSTRUMENT, each) for each in exchange.control.place(DEFAULT_KEY.uid, _INSTRUMENT, orders)]
        return _timed(_calls(client, account, refs, batched=batched)) / orders * 1000


def _calls(
    client: OkxClient, account: Credentials, refs: Sequence[OrderRef], *, batched: bool
) -> list[Callable[[], object]]:
    if not batched:
        return [partial(client.cancel, account, ref, write_by=_WHENEVER) for ref in refs]
    return [partial(client.cancel_batch, account, chunk, write_by=_WHENEVER) for chunk in chunks(refs, BATCH_SIZE)]


def _timed(calls: Sequence[Callable[[], object]]) -> float:
    began = time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()
    return time.process_time() - began
