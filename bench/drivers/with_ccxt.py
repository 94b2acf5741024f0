"""How does a user of ccxt cancel a bulk? `cancelOrders` in 20s, under ccxt's own limiter.

One instrument after the other in synchronous calls, one exchange object per account with `enableRateLimit` on, its
default, as its manual shows. What ccxt reports as refused stays live; ccxt repeats nothing by itself.
"""

from collections.abc import Callable
from contextlib import suppress

import ccxt

from bench.drivers.wire import Desk, HandIn, Work, serve
from bulk_cancel.worker.state.chunks import chunks

BATCH = 20


def prepare(work: Work) -> HandIn:
    """One client per account; the markets are loaded once, and each client has made a call."""
    clients = [_client(work.exchange_url, desk) for desk in work.desks]
    clients[0].load_markets()
    for client in clients:
        client.set_markets(clients[0].markets)
        client.fetch_open_orders(limit=1)

    def hand_in() -> Callable[[], None]:
        for client, desk in zip(clients, work.desks, strict=True):
            _cancel_all(client, desk)
        return lambda: None

    return hand_in


def _client(url: str, desk: Desk) -> ccxt.okx:
    client = ccxt.okx({"apiKey": desk.key, "secret": desk.secret, "password": desk.passphrase})
    client.urls["api"] = {"rest": url}
    return client


def _cancel_all(client: ccxt.okx, desk: Desk) -> None:
    for inst_id, orders in desk.orders.items():
        for chunk in chunks(orders, BATCH):
            with suppress(ccxt.BaseError):
                client.cancel_orders(chunk, inst_id)


if __name__ == "__main__":
    serve(prepare)
