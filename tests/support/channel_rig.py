"""What do tests of the private channel stand on? A reader that remembers, an exchange that says what a test likes."""

import json
import queue
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from threading import Thread

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.channel import Channel
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.session import Patience
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from tests.support.waiting import PATIENCE_S

LATE_S = PATIENCE_S
QUICK = Patience(ping_s=0.3, pong_s=LATE_S, open_s=LATE_S, first_s=0.02, cap_s=0.1, refused_s=0.2, apart_s=0)
CALM = Patience(first_s=0.02, apart_s=0)


def credentials(name: str = "desk1", **fields: str) -> Credentials:
    """The simulator's own key, unless `fields` say otherwise."""
    known = {"api_key": DEFAULT_KEY.key, "api_secret": DEFAULT_KEY.secret, "passphrase": DEFAULT_KEY.passphrase}
    return Credentials(name=name, **{**known, **fields}, base_url="http://127.0.0.1:1", demo=False)


class Reader:
    """Remembers what a channel called; `waits` takes it in order."""

    def __init__(self) -> None:
        self.calls: queue.Queue[tuple[str, Row]] = queue.Queue()
        self.fails = 0
        """So many calls raise before the next is taken."""

    def on_orders(self, rows: Sequence[Row]) -> None:
        """Takes pushes."""
        self._fail()
        for row in rows:
            self.calls.put(("order", row))

    def on_gap(self) -> None:
        """Takes gaps."""
        self._fail()
        self.calls.put(("gap", {}))

    def gap(self) -> None:
        """The next call is a gap."""
        assert self.calls.get(timeout=LATE_S)[0] == "gap"

    def order(self) -> Row:
        """The next call is a push; its row."""
        kind, row = self.calls.get(timeout=LATE_S)
        assert kind == "order"
        return row

    def _fail(self) -> None:
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the reader fails")


@contextmanager
def listening(
    ws_url: str,
    reader: Reader,
    creds: Credentials | None = None,
    *,
    patience: Patience = QUICK,
    now: Callable[[], float] = time.time,
    verify: str | None = None,
) -> Iterator[Channel]:
    """A channel that runs until the block ends."""
    channel = Channel(
        creds or credentials(),
        ws_url,
        now=now,
        on_orders=reader.on_orders,
        on_gap=reader.on_gap,
        patience=patience,
        verify=verify,
    )
    channel.start()
    try:
        yield channel
    finally:
        channel.stop()


LOGGED_IN = '{"event":"login","code":"0","msg":""}'
SUBSCRIBED = '{"event":"subscribe","arg":{"channel":"orders","instType":"ANY"}}'


def push(*orders: str) -> str:
    """A push of orders by ordId."""
    rows = [{"ordId": order, "state": "canceled"} for order in orders]
    return json.dumps({"arg": {"channel": "orders", "instType": "ANY"}, "data": rows})


def ready(connection: ServerConnection) -> None:
    """Takes any login and subscription."""
    connection.recv(LATE_S)
    connection.send(LOGGED_IN)
    connection.recv(LATE_S)
    connection.send(SUBSCRIBED)


@contextmanager
def saying(
    handler: Callable[[ServerConnection], None],
    *,
    context: ssl.SSLContext | None = None,
    redirect_to: str | None = None,
) -> Iterator[str]:
    """An exchange whose every connection is `handler`'s; yields its address."""

    def redirected(connection: ServerConnection, _request: Request) -> Response | None:
        if redirect_to is None:
            return None
        response = connection.respond(HTTPStatus.FOUND, "")
        response.headers["Location"] = redirect_to
        return response

    with serve(handler, "127.0.0.1", 0, ssl=context, process_request=redirected, close_timeout=1) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        host, port = server.socket.getsockname()[:2]
        yield f"{'wss' if context else 'ws'}://{host}:{port}/ws/v5/private"
        server.shutdown()
        thread.join()
