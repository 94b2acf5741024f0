"""How does a user of ccxt cancel a bulk? `cancelOrders` in 20s, under ccxt's own limiter.

One instrument after the other in synchronous calls, one exchange object per account with `enableRateLimit` on, its
default, as its manual shows. What ccxt reports as refused stays live; ccxt repeats nothing by itself.
"""

from collections.abc import Callable

import ccxt

from bench.drivers.wire import Desk, Work, serve

BATCH = 20


def prepare(work: Work) -> Callable[[], Callable[[], int]]:
    """One client per account; the markets are loaded once, and each client has made a call."""
    clients = [_client(work.exchange_url, desk) for desk in work.desks]
    clients[0].load_markets()
    for client in clients:
        client.set_markets(clients[0].markets)
        client.fetch_open_orders(limit=1)

    def hand_in() -> Callable[[], int]:
        errors = sum(_cancel_all(client, desk) for client, desk in zip(clients, work.desks, strict=True))
        return lambda: errors

    return hand_in


def _client(url: str, desk: Desk) -> ccxt.okx:
    client = ccxt.okx({"apiKey": desk.key, "secret": desk.secret, "password": desk.passphrase})
    client.urls["api"] = {"rest": url}
    return client


def _cancel_all(client: ccxt.okx, desk: Desk) -> int:
    errors = 0
    for inst_id, orders in desk.orders.items():
        for start in range(0, len(orders), BATCH):
            errors += _cancel(client, inst_id, orders[start : start + BATCH])
    return errors


def _cancel(client: ccxt.okx, inst_id: str, orders: list[str]) -> int:
    try:
        client.cancel_orders(orders, inst_id)
    except ccxt.BaseError:
        return 1
    return 0


if __name__ == "__main__":
    serve(prepare)
