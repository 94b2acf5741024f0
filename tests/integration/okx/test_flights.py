"""Does every call in flight land once, whatever becomes of the others?"""

import queue
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.errors import DeadlinePassed, ExchangeError, NeverSent, OutcomeUnknown
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.wire.connection import Wire
from bulk_cancel.worker.okx.wire.flights import Flights
from tests.support.okx_server import ACCEPTED, ORDER, Server, credentials, open_client, rows, says, soon
from tests.support.waiting import PATIENCE_S

TIMEOUT_S: Final = 4.0
Came = queue.Queue[Answer | ExchangeError]


@pytest.fixture
def client() -> Iterator[OkxClient]:
    """A client with a deadline that is waited for, and that nothing else meets."""
    with open_client(timeout_s=TIMEOUT_S) as client:
        yield client


def begin(client: OkxClient, url: str, came: Came, order: OrderRef = ORDER) -> None:
    """One cancel begins; what comes of it is put into `came`."""
    client.begin_cancel(credentials(url), [order], batch=False, write_by=soon(), then=came.put)


def test_a_silent_call_holds_up_no_other(client: OkxClient) -> None:
    """It ends at its own deadline, its connection with a reset, while others land."""

    def answer(sock: socket.socket, request: bytes) -> None:
        if b'"ordId":"1"' not in request:
            sock.sendall(rows({"ordId": "2", "sCode": "0"}))

    silent, others = Came(), Came()
    with Server(answer) as server:
        begin(client, server.url, silent, OrderRef("BTC-USDT", "1"))
        for _ in range(20):
            begin(client, server.url, others, OrderRef("BTC-USDT", "2"))
            landed = others.get(timeout=PATIENCE_S)
            assert isinstance(landed, Answer)
            assert landed.items[0].ordId == "2"
        assert isinstance(silent.get(timeout=PATIENCE_S), DeadlinePassed)
        assert server.ends.get(timeout=PATIENCE_S) == "reset"
        assert others.empty()
        assert silent.empty()


def test_an_answer_in_pieces_lands_once(client: OkxClient) -> None:
    """Each piece is taken in as it comes."""

    def answer(sock: socket.socket, _: bytes) -> None:
        for at in range(0, len(ACCEPTED), 40):
            sock.sendall(ACCEPTED[at : at + 40])
            read.get(timeout=PATIENCE_S)

    read: queue.Queue[None] = queue.Queue()
    came = Came()
    with Server(answer) as server:
        client.warm(server.url, 1)
        begin(client, server.url, came)
        for _ in range(0, len(ACCEPTED), 40):
            read.put(None)
        assert isinstance(came.get(timeout=PATIENCE_S), Answer)


def test_who_is_told_and_raises_stops_no_other(client: OkxClient) -> None:
    """It is logged, and the next one lands."""

    def then(_: object) -> None:
        raise RuntimeError("told")

    came = Came()
    with Server(says(ACCEPTED)) as server:
        client.warm(server.url, 1)
        client.begin_cancel(credentials(server.url), [ORDER], batch=False, write_by=soon(), then=then)
        begin(client, server.url, came)
        assert isinstance(came.get(timeout=PATIENCE_S), Answer)


def test_what_fails_after_the_first_byte_is_told_as_unknown(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be it on the thread of a dialer: a call that nobody is told of would hold its permit for ever."""

    def add(*_: object) -> None:
        raise RuntimeError("no thread could be started")

    monkeypatch.setattr(Flights, "add", add)
    came = Came()
    with Server(says(ACCEPTED)) as server:
        begin(client, server.url, came)
        assert type(came.get(timeout=PATIENCE_S)) is OutcomeUnknown
    assert came.empty()


def test_what_fails_in_the_thread_is_told_as_unknown(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next call lands."""
    take_in, failures = Wire.take_in, [KeyError("once")]

    def fails_once(wire: Wire) -> tuple[int, bytes] | None:
        if failures:
            raise failures.pop()
        return take_in(wire)

    monkeypatch.setattr(Wire, "take_in", fails_once)
    came = Came()
    with Server(says(ACCEPTED)) as server:
        for expected in (OutcomeUnknown, Answer):
            begin(client, server.url, came)
            assert type(came.get(timeout=PATIENCE_S)) is expected


def test_no_connection_is_told_like_an_answer(client: OkxClient) -> None:
    """Whoever begins a call waits for no handshake."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    came = Came()
    begin(client, url, came)
    assert isinstance(came.get(timeout=PATIENCE_S), NeverSent)


def test_an_order_without_an_id_is_never_begun(client: OkxClient) -> None:
    """It raises at once, and nobody is told."""
    came = Came()
    with Server(says(ACCEPTED)) as server:
        with pytest.raises(ValueError, match="needs ordId or clOrdId"):
            begin(client, server.url, came, OrderRef("BTC-USDT"))
        assert not server.accepted
    assert came.empty()
