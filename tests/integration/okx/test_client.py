"""Does the client ask and understand the exchange, and share its connections rightly?"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from bulk_cancel.worker.okx import clock as clock_module
from bulk_cancel.worker.okx.client import CANCEL, AccountConfig, OkxClient
from bulk_cancel.worker.okx.errors import (
    ExchangeError,
    NotAuthorised,
    OutcomeUnknown,
    Refused,
    Throttled,
)
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.signing import signature
from bulk_cancel.worker.okx.wire import connection, pool, sockets
from bulk_cancel.worker.okx.wire.sockets import DeadlineSocket
from tests.support.okx_server import (
    ACCEPTED,
    ORDER,
    Server,
    cancel,
    credentials,
    fails,
    http_answer,
    open_client,
    rows,
    says,
    says_then_closes,
    soon,
)
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def client() -> Iterator[OkxClient]:
    """A client in no hurry."""
    with open_client() as client:
        yield client


def test_request_is_signed_as_sent(client: OkxClient) -> None:
    """Path, headers and the very bytes of the body are what was signed, in one write."""
    with Server(says(ACCEPTED)) as server:
        client.cancel_batch(credentials(server.url, demo=True), [ORDER, OrderRef("X", None, "a1")], write_by=soon())
    head, _, body = server.arrivals[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    path = "/api/v5/trade/cancel-batch-orders"
    stamp = headers["OK-ACCESS-TIMESTAMP"]
    assert lines[0] == f"POST {path} HTTP/1.1"
    assert body == b'[{"instId":"BTC-USDT","ordId":"2510789768709120"},{"instId":"X","clOrdId":"a1"}]'
    assert headers["OK-ACCESS-SIGN"] == signature("the-secret", stamp=stamp, method="POST", path=path, body=body)
    assert (headers["Host"], headers["Accept-Encoding"], headers["x-simulated-trading"]) == (
        urlsplit(server.url).netloc,
        "identity",
        "1",
    )


def test_answer_of_a_cancel(client: OkxClient) -> None:
    """A failed item is a value; the path is that of the single endpoint."""
    with Server(says(rows({"ordId": "1", "sCode": "51400", "sMsg": "gone"}, code="1"))) as server:
        answer = client.cancel(credentials(server.url), ORDER, write_by=soon())
    assert (answer.http_status, answer.code, answer.items[0].sCode) == (200, "1", "51400")
    assert server.arrivals[0].startswith(f"POST {CANCEL} ".encode())


def test_keep_alive_reuses_the_connection(client: OkxClient) -> None:
    """Calls one after the other share one connection."""
    with Server(says(ACCEPTED)) as server:
        for _ in range(3):
            cancel(client, server.url)
        assert (len(server.accepted), len(server.arrivals)) == (1, 3)


def test_closed_idle_connection_is_replaced_before_use(client: OkxClient) -> None:
    """A connection that the server closed while it idled is not written to."""
    with Server(says_then_closes(ACCEPTED)) as server:
        for calls in (1, 2, 3):
            cancel(client, server.url)
            assert server.ends.get(timeout=PATIENCE_S) == "closed"
            assert len(server.arrivals) == len(server.accepted) == calls


def test_connection_that_said_too_much_is_replaced(client: OkxClient) -> None:
    """Bytes that nobody asked for would be taken for the next answer."""
    with Server(says(ACCEPTED + b"x" * 30_000)) as server:
        cancel(client, server.url)
        cancel(client, server.url)
        assert len(server.accepted) == 2


def test_announced_close_is_respected(client: OkxClient) -> None:
    """`Connection: close` ends the connection after its answer."""
    body = ACCEPTED.partition(b"\r\n\r\n")[2]
    with Server(says(http_answer(body, headers="Connection: close\r\n"))) as server:
        cancel(client, server.url)
        cancel(client, server.url)
        assert len(server.accepted) == 2


def test_old_connections_are_dropped(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the idle limit a connection is reset, used or not."""
    with Server(says(ACCEPTED)) as server:
        client.warm(server.url, 2)
        monkeypatch.setattr(connection, "IDLE_S", -1.0)
        cancel(client, server.url)
        assert [server.ends.get(timeout=PATIENCE_S) for _ in range(2)] == ["reset"] * 2
        assert len(server.accepted) == 3


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (http_answer(b'{"msg":"Too Many Requests","code":"50011"}', status="429 Too Many"), Throttled),
        (http_answer(b'{"msg":"Invalid key","code":"50111"}', status="401 No"), NotAuthorised),
    ],
)
def test_refused_envelope_raises_and_keeps_the_connection(
    client: OkxClient, said: bytes, error: type[ExchangeError]
) -> None:
    """What the exchange says is no reason to pay for another handshake."""
    with Server(says(said)) as server:
        fails(client, server.url, error)
        fails(client, server.url, error)
        assert (len(server.accepted), len(server.arrivals)) == (1, 2)


def test_last_used_connection_is_used_first(client: OkxClient) -> None:
    """Of many warm connections only as many are used as are needed at once."""
    with Server(says(ACCEPTED)) as server:
        assert client.warm(server.url, 3) == 3
        assert client.warm(server.url, 99) == 5  # the pool keeps 8
        for _ in range(4):
            cancel(client, server.url)
        assert len(set(server.peers)) == 1
        assert client.warm(server.url, 8) == 0


def test_connections_that_the_other_side_closed_are_opened_anew(client: OkxClient) -> None:
    """Before a call needs them."""
    with Server(says(ACCEPTED)) as server:
        assert client.warm(server.url, 3) == 3
        wires = [server.begun.get(timeout=PATIENCE_S) for _ in range(3)]
        for wire in wires[:2]:
            wire.shutdown(socket.SHUT_RDWR)
        assert [server.ends.get(timeout=PATIENCE_S) for _ in range(2)] == ["closed"] * 2
        assert client.warm(server.url, 3) == 2
        cancel(client, server.url)
        assert len(server.accepted) == 5


def test_what_grows_old_is_replaced_before_it_goes(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no moment without a connection that a call could use."""
    usable: list[int] = []
    with Server(says(ACCEPTED)) as server:
        assert client.warm(server.url, 8) == 8
        monkeypatch.setattr(pool, "WARM_AHEAD_S", connection.IDLE_S + 1)

        def dial(*arguments: Any, **named: Any) -> DeadlineSocket:  # noqa: ANN401 (handed on as they are)
            with client._calls.pool._lock:
                usable.append(sum(wire.is_usable() for wire in client._calls.pool._idle[server.url]))
            return sockets.dial(*arguments, **named)

        monkeypatch.setattr(connection, "dial", dial)
        assert client.warm(server.url, 8) == 8
        assert set(usable) == {8}
        assert [server.ends.get(timeout=PATIENCE_S) for _ in range(8)] == ["reset"] * 8


def test_connections_in_use_are_no_reason_for_more(client: OkxClient) -> None:
    """Those of a burst come back."""
    asked, may_answer = threading.Event(), threading.Event()

    def wait(sock: socket.socket, _: bytes) -> None:
        asked.set()
        assert may_answer.wait(PATIENCE_S)
        sock.sendall(ACCEPTED)

    with Server(wait) as server, ThreadPoolExecutor(1) as caller:
        called = caller.submit(cancel, client, server.url)
        assert asked.wait(PATIENCE_S)
        assert client.warm(server.url, 2) == 1
        may_answer.set()
        called.result(PATIENCE_S)
        assert client.warm(server.url, 2) == 0


def test_an_address_that_is_away_is_asked_once(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each connection that is missing."""
    dials: list[int] = []

    def refuse(*_: object, **__: object) -> DeadlineSocket:
        dials.append(1)
        raise ConnectionRefusedError

    monkeypatch.setattr(connection, "dial", refuse)
    assert client.warm("http://127.0.0.1:1", 8) == 0
    assert not client.connect("http://127.0.0.1:1")
    assert len(dials) == 2


def test_a_clock_that_cannot_be_true_is_not_taken_over(client: OkxClient) -> None:
    """Every call would be signed with it."""
    with Server(says(rows({"ts": "95617584000000"}))) as server:
        with pytest.raises(OutcomeUnknown, match="would be off by"):
            client.clock.measure(server.url)
        assert client.clock.offset_s(server.url) == 0.0


def test_threads_never_share_a_connection(client: OkxClient) -> None:
    """Many calls at once each get the answer to their own request."""

    def echo(sock: socket.socket, request: bytes) -> None:
        asked = json.loads(request.partition(b"\r\n\r\n")[2])
        sock.sendall(rows({"ordId": asked["ordId"], "sCode": "0"}))

    with Server(echo) as server, ThreadPoolExecutor(12) as threads:
        creds = credentials(server.url)
        refs = [OrderRef("BTC-USDT", str(number)) for number in range(240)]
        answers = threads.map(lambda ref: client.cancel(creds, ref, write_by=soon()), refs)
        assert [answer.items[0].ordId for answer in answers] == [ref.ordId for ref in refs]


def test_close_resets_what_idles(client: OkxClient) -> None:
    """A closed client leaves no connection behind."""
    with Server(says(ACCEPTED)) as server:
        cancel(client, server.url)
        client.close()
        assert server.ends.get(timeout=PATIENCE_S) == "reset"
        assert client.order(credentials(server.url), ORDER)
        assert server.ends.get(timeout=PATIENCE_S) == "reset"


def test_reading_calls(client: OkxClient) -> None:
    """Queries are signed with their path, and rows come out as text."""
    with Server(says(rows({"ordId": "7", "state": "live"}))) as server:
        creds = credentials(server.url)
        assert client.order(creds, OrderRef("BTC-USDT", "7"))["state"] == "live"
        assert client.orders_pending(creds, filters={"instType": "SWAP"}, after="9")[0]["ordId"] == "7"
    first, second = (arrival.split(b"\r\n")[0].decode() for arrival in server.arrivals)
    assert first == "GET /api/v5/trade/order?instId=BTC-USDT&ordId=7 HTTP/1.1"
    assert second == "GET /api/v5/trade/orders-pending?instType=SWAP&limit=100&after=9 HTTP/1.1"


def test_unknown_order_is_empty(client: OkxClient) -> None:
    """51603 is an answer: there is no such order; any other code raises, and so does an answer without an order."""
    with Server(says(rows(code="51603"))) as server:
        assert client.order(credentials(server.url), ORDER) == {}
        with pytest.raises(Refused):
            client.orders_pending(credentials(server.url), filters={})
    for other in (rows(code="51001"), rows()):
        with Server(says(other)) as server, pytest.raises(Refused):
            client.order(credentials(server.url), ORDER)


def test_the_switch_is_armed_and_taken_back(client: OkxClient) -> None:
    """With seconds as text; whether it is armed is what the exchange says, whatever was asked."""
    said = iter([rows({"triggerTime": when, "tag": "", "ts": "1587971400"}) for when in ("1587971460", "0")])
    with Server(lambda sock, _: sock.sendall(next(said))) as server:
        assert client.cancel_all_after(credentials(server.url), 60, write_by=soon())
        assert not client.cancel_all_after(credentials(server.url), 0, write_by=soon())
    heads, bodies = zip(*(arrival.split(b"\r\n\r\n") for arrival in server.arrivals), strict=True)
    assert [head.split(b" HTTP")[0] for head in heads] == [b"POST /api/v5/trade/cancel-all-after"] * 2
    assert bodies == (b'{"timeOut":"60"}', b'{"timeOut":"0"}')


def test_account_config(client: OkxClient) -> None:
    """Lists come out as lists, and a key without an IP binding has none."""
    row = {"uid": "44", "mainUid": "43", "label": "risk", "perm": "read_only,trade", "ip": ""}
    with Server(says(rows(row))) as server:
        assert client.account_config(credentials(server.url)) == AccountConfig(
            uid="44", permissions=("read_only", "trade"), ip=()
        )


@pytest.mark.parametrize("data", [[], [{}], [{"uid": None, "ts": "soon"}]])
def test_missing_facts_raise(client: OkxClient, data: list[dict[str, object]]) -> None:
    """An account without a uid, and a clock without a time, are no answers."""
    with Server(says(http_answer(json.dumps({"code": "0", "data": data}).encode()))) as server:
        with pytest.raises(OutcomeUnknown):
            client.account_config(credentials(server.url))
        with pytest.raises(OutcomeUnknown):
            client.server_time_ms(server.url)


def test_clock_is_measured_and_applied(client: OkxClient) -> None:
    """The offset is the exchange's clock minus ours, and every later timestamp carries it."""

    def clock_or_answer(sock: socket.socket, request: bytes) -> None:
        ahead = rows({"ts": str(int((time.time() + 100) * 1000))})
        sock.sendall(ahead if request.startswith(b"GET /api/v5/public/time") else ACCEPTED)

    with Server(clock_or_answer) as server:
        assert client.clock.offset_s(server.url) == 0.0
        began = time.time()
        offset_s = client.clock.measure(server.url)
        assert offset_s == pytest.approx(100, abs=time.time() - began + 0.001)  # it is told in whole ms
        assert client.clock.offset_s(server.url) == offset_s
        began = time.time()
        cancel(client, server.url)
        ended = time.time()
    stamp = server.arrivals[-1].partition(b"OK-ACCESS-TIMESTAMP: ")[2].partition(b"\r\n")[0].decode()
    assert began - 0.001 <= datetime.fromisoformat(stamp).timestamp() - offset_s <= ended + 0.001
    assert b"OK-ACCESS" not in server.arrivals[0]


def test_the_clock_is_never_ahead_and_ignores_a_wrong_wall_clock(
    client: OkxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked once in 30 s, and the exchange's time passes meanwhile."""
    with Server(says(rows({"ts": "1700000000000"}))) as server:
        began = time.monotonic()
        monkeypatch.setattr(time, "time", lambda: 1_700_000_025.0)
        first = client.clock.time_ms(server.url)
        monkeypatch.setattr(time, "time", lambda: 1_700_009_000.0)
        second = client.clock.time_ms(server.url)
        passed_ms = (time.monotonic() - began) * 1000
        assert 1_700_000_000_000 <= first <= second <= 1_700_000_000_000 + passed_ms
        assert len(server.arrivals) == 1
        monkeypatch.setattr(clock_module, "FRESH_S", 0.0)
        client.clock.time_ms(server.url)
        assert len(server.arrivals) == 2


def test_an_instant_on_the_exchanges_clock_is_known_within_a_round_trip(
    client: OkxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told after it had been asked for and before the answer was read, in whole ms."""
    with Server(says(rows({"ts": "1700000000000"}))) as server:
        monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
        began = time.monotonic()
        span = client.clock.span(server.url, began)
        took_ms = (time.monotonic() - began) * 1000
        assert span.earliest_ms <= 1_700_000_000_000
        assert 1 <= span.latest_ms - span.earliest_ms <= 1 + took_ms
        later = client.clock.span(server.url, began + 2)
        assert [each - before for each, before in zip(later, span, strict=True)] == pytest.approx([2000, 2000])
        assert len(server.arrivals) == 1


def test_a_clock_that_is_not_told_is_not_guessed(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is an old measurement used longer than it is fresh."""

    def once(sock: socket.socket, _request: bytes) -> None:
        told = rows({"ts": str(int(time.time() * 1000))})
        sock.sendall(told if len(server.arrivals) == 1 else http_answer(b"<html>"))

    with Server(once) as server:
        client.clock.time_ms(server.url)
        monkeypatch.setattr(clock_module, "FRESH_S", 0.0)
        with pytest.raises(OutcomeUnknown):
            client.clock.time_ms(server.url)


def test_many_refused_at_once_measure_the_clock_once(client: OkxClient) -> None:
    """Those that were signed before the measurement go on with it; one signed after it measures again."""
    began = time.monotonic()
    with Server(says(rows({"ts": str(int((time.time() + 100) * 1000))}))) as server:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda _: client.clock.correct(server.url, signed_at=began), range(32)))
        assert len(server.arrivals) == 1
        assert client.clock.offset_s(server.url) == pytest.approx(100, abs=PATIENCE_S)
        client.clock.correct(server.url, signed_at=time.monotonic())
        assert len(server.arrivals) == 2
