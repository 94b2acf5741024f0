"""How does a user of python-okx cancel a bulk? A loop per instrument, paced to the documented 60 requests in 2 s.

python-okx has no limiter, so its user writes one: a thread per instrument (an option family is one loop) sends one
`cancel_order` each 1/30 s. One client per account is shared by its threads, as httpx allows. What is
refused stays live.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import httpx
from okx.Trade import TradeAPI

from bench.drivers.wire import Desk, HandIn, Work, serve
from bulk_cancel.worker.okx.instruments import meter_of

EVERY_S = 2 / 60


def prepare(work: Work) -> HandIn:
    """One client per account, each with an open connection; one thread per instrument."""
    clients = [_client(work.exchange_url, desk) for desk in work.desks]
    loops = [(client, orders) for client, desk in zip(clients, work.desks, strict=True) for orders in _metered(desk)]
    pool = ThreadPoolExecutor(len(loops))

    def hand_in() -> Callable[[], None]:
        running = [pool.submit(_loop, client, orders) for client, orders in loops]
        return lambda: _wait(running)

    return hand_in


def _client(url: str, desk: Desk) -> TradeAPI:
    client = TradeAPI(desk.key, desk.secret, desk.passphrase, flag="0", domain=url)
    client.get_order_list()
    return client


def _metered(desk: Desk) -> Iterator[list[tuple[str, str]]]:
    """The orders of the account by what the exchange meters."""
    found: dict[str, list[tuple[str, str]]] = {}
    for inst_id, orders in desk.orders.items():
        found.setdefault(meter_of(inst_id), []).extend((inst_id, order) for order in orders)
    return iter(found.values())


def _loop(client: TradeAPI, orders: Sequence[tuple[str, str]]) -> None:
    began = time.monotonic()
    for number, (inst_id, order) in enumerate(orders):
        time.sleep(max(0.0, began + number * EVERY_S - time.monotonic()))
        with suppress(httpx.HTTPError):
            client.cancel_order(inst_id, ordId=order)


def _wait(running: Sequence[Future[None]]) -> None:
    for each in running:
        each.result()


if __name__ == "__main__":
    serve(prepare)
