"""Does the client keep its word on real sockets, against a server that keeps none?"""

import json
import queue
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from worker.okx import connection
from worker.okx.client import CANCEL, AccountConfig, OkxClient
from worker.okx.connection import MAX_BODY
from worker.okx.credentials import Credentials
from worker.okx.errors import (
    DeadlinePassed,
    ExchangeError,
    NeverSent,
    NotAuthorised,
    OutcomeUnknown,
    Refused,
    Throttled,
)
from worker.okx.orders import OrderRef
from worker.okx.signing import signature
from worker.okx.sockets import DeadlineSocket, dial

ORDER = OrderRef("BTC-USDT", "2510789768709120")
TIMEOUT_S = 0.3
# beyond it something waited for a thing that no deadline bounds
SLACK_S = 2.0
RESET = struct.pack("ii", 1, 0)


class Server:
    """A scripted server: one thread per connection, each request goes to `answer(socket, request)`.

    `arrivals` holds the requests as they came, `peers` from which ports, `accepted` each connection, `wires`
    the same as they are spoken over, `ends` how each connection ended ("closed" or "reset").
    """

    def __init__(
        self, answer: Callable[[socket.socket, bytes], None], tls: ssl.SSLContext | None = None
    ) -> None:
        self._answer, self._tls = answer, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.arrivals: list[bytes] = []
        self.peers: list[int] = []
        self.accepted: list[socket.socket] = []
        self.wires: list[socket.socket] = []
        self.ends: queue.Queue[str] = queue.Queue()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Listen."""
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up on everybody, and wait for the threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in self.wires:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.accepted.append(sock)
                self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            with self._tls.wrap_socket(sock, server_side=True) if self._tls else sock as wire:
                self.wires.append(wire)
                while request := read_request(wire):
                    self.arrivals.append(request)
                    self.peers.append(wire.getpeername()[1])
                    self._answer(wire, request)
            self.ends.put("closed")
        except OSError:
            self.ends.put("reset")


def read_request(sock: socket.socket) -> bytes:
    """Head and body of the next request; b"" if none comes."""
    data = b""
    while not (head := data.partition(b"\r\n\r\n"))[1] or len(head[2]) < length(head[0]):
        if not (more := sock.recv(65536)):
            return b""
        data += more
    return data


def length(head: bytes) -> int:
    """The Content-Length a head tells."""
    found = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(found[0].partition(b":")[2]) if found else 0


def http_answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def says(data: bytes) -> Callable[[socket.socket, bytes], None]:
    """Answer each request with these bytes."""
    return lambda sock, _: sock.sendall(data)


def rows(*data: dict[str, str], code: str = "0") -> bytes:
    """A whole answer with these rows."""
    return http_answer(json.dumps({"code": code, "msg": "", "data": data}).encode())


ACCEPTED = rows({"ordId": "2510789768709120", "clOrdId": "", "sCode": "0", "sMsg": ""})


def says_then_closes(data: bytes) -> Callable[[socket.socket, bytes], None]:
    """Answer and hang up."""

    def answer(sock: socket.socket, _: bytes) -> None:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_RDWR)

    return answer


def dribbles(data: bytes) -> Callable[[socket.socket, bytes], None]:
    """Answer at once with `data`, then with one more byte every 20 ms, for ever."""

    def answer(sock: socket.socket, _: bytes) -> None:
        sock.sendall(data)
        sock.settimeout(0.02)
        while True:
            try:
                # below TLS, which takes a reset for an end
                if not socket.socket.recv(sock, 1, socket.MSG_PEEK):
                    return
            except TimeoutError:
                sock.sendall(b" ")

    return answer


def credentials(url: str, *, demo: bool = False) -> Credentials:
    """An account at this address."""
    return Credentials("desk1", "the-key", "the-secret", "the-passphrase", url, demo)


def soon() -> float:
    """A `write_by` that is not in the way."""
    return time.monotonic() + 5


@pytest.fixture
def client() -> Iterator[OkxClient]:
    """A client in no hurry."""
    client = OkxClient(timeout_s=5, pool=8)
    yield client
    client.close()


@pytest.fixture
def hasty_client() -> Iterator[OkxClient]:
    """A client with a short deadline."""
    client = OkxClient(timeout_s=TIMEOUT_S, pool=8)
    yield client
    client.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the loopback address, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "exchange.test")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(encoding))
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """The server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def tls_client(certificate: Path) -> Iterator[OkxClient]:
    """A client that trusts the test's certificate."""
    client = OkxClient(timeout_s=5, pool=8, verify=str(certificate))
    yield client
    client.close()


@pytest.fixture
def hasty_tls_client(certificate: Path) -> Iterator[OkxClient]:
    """The same with a short deadline."""
    client = OkxClient(timeout_s=TIMEOUT_S, pool=8, verify=str(certificate))
    yield client
    client.close()


def cancel(client: OkxClient, url: str) -> None:
    """One cancel that is accepted."""
    assert client.cancel(credentials(url), ORDER, write_by=soon()).items[0].sCode == "0"


def fails(client: OkxClient, url: str, error: type[ExchangeError]) -> float:
    """One cancel that raises exactly this; how long it took, in seconds."""
    began = time.monotonic()
    with pytest.raises(error) as raised:
        client.cancel(credentials(url), ORDER, write_by=soon())
    assert type(raised.value) is error
    return time.monotonic() - began


def test_request_is_signed_as_sent(client: OkxClient) -> None:
    """Path, headers and the very bytes of the body are what was signed, in one write."""
    with Server(says(ACCEPTED)) as server:
        client.cancel_batch(
            credentials(server.url, demo=True), [ORDER, OrderRef("X", None, "a1")], write_by=soon()
        )
    head, _, body = server.arrivals[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    path = "/api/v5/trade/cancel-batch-orders"
    stamp = headers["OK-ACCESS-TIMESTAMP"]
    assert lines[0] == f"POST {path} HTTP/1.1"
    assert body == b'[{"instId":"BTC-USDT","ordId":"2510789768709120"},{"instId":"X","clOrdId":"a1"}]'
    assert headers["OK-ACCESS-SIGN"] == signature(
        "the-secret", stamp=stamp, method="POST", path=path, body=body
    )
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


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", http_answer(b"x" * 999)[:60]])
def test_dribbled_answer_is_cut_with_a_reset(hasty_client: OkxClient, head: bytes) -> None:
    """A server that says a little all the time is cut at the total deadline, in head and body alike."""
    with Server(dribbles(head)) as server:
        took_s = fails(hasty_client, server.url, DeadlinePassed)
        assert TIMEOUT_S <= took_s < TIMEOUT_S + SLACK_S
        assert server.ends.get(timeout=5) == "reset"
        assert len(server.arrivals) == 1


@pytest.mark.parametrize("head", [b"", http_answer(b"x" * 999)[:60]])
def test_deadline_over_tls(hasty_tls_client: OkxClient, tls: ssl.SSLContext, head: bytes) -> None:
    """The same over TLS."""
    with Server(dribbles(head), tls) as server:
        took_s = fails(hasty_tls_client, server.url, DeadlinePassed)
        assert TIMEOUT_S <= took_s < TIMEOUT_S + SLACK_S
        assert server.ends.get(timeout=5) == "reset"


def test_tls_connection_is_reused(tls_client: OkxClient, tls: ssl.SSLContext) -> None:
    """Session tickets, which arrive unasked for, are no reason to connect anew, warm or used."""
    with Server(says(ACCEPTED), tls) as server:
        assert tls_client.warm(server.url, 1) == 1
        for _ in range(3):
            cancel(tls_client, server.url)
        assert (len(server.accepted), len(server.arrivals)) == (1, 3)


def test_untrusted_certificate_is_never_sent_to(client: OkxClient, tls: ssl.SSLContext) -> None:
    """Nothing is said to a server that cannot prove itself."""
    with Server(says(ACCEPTED), tls) as server:
        fails(client, server.url, NeverSent)
        assert server.ends.get(timeout=5) == "reset"
    assert not server.arrivals


def test_silent_handshake_ends_at_write_by(tls_client: OkxClient) -> None:
    """A server that accepts but never answers the handshake holds nobody beyond `write_by`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(NeverSent):
            tls_client.cancel(credentials(url), ORDER, write_by=began + 0.1)
        assert time.monotonic() - began < 0.1 + SLACK_S


def test_refused_connection_is_never_sent(client: OkxClient) -> None:
    """Nobody listens: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fails(client, f"http://127.0.0.1:{port}", NeverSent)
    assert client.warm(f"http://127.0.0.1:{port}", 2) == 0


@pytest.mark.parametrize("dead_first", [True, False])
def test_any_living_address_is_reached(
    client: OkxClient, monkeypatch: pytest.MonkeyPatch, *, dead_first: bool
) -> None:
    """A name with a dead address is reached at its living one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = listener.getsockname()[1]
    with Server(says(ACCEPTED)) as server:
        ports = [dead, urlsplit(server.url).port][:: 1 if dead_first else -1]
        found = [socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)[0] for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        cancel(client, server.url)


def test_write_by_passed_sends_nothing(client: OkxClient) -> None:
    """Too late before it began: not even a connection, and nothing over one that is open."""
    with Server(says(ACCEPTED)) as server:
        for warm in (0, 1):
            client.warm(server.url, warm)
            with pytest.raises(NeverSent):
                client.cancel(credentials(server.url), ORDER, write_by=time.monotonic() - 0.001)
        assert server.ends.get(timeout=5) == "reset"
        assert len(server.accepted) == 1
        assert not server.arrivals


def test_write_by_passed_while_connecting(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is ready only after `write_by` carries nothing, and is reset."""

    def slow_dial(host: str, port: int, *, context: ssl.SSLContext | None, by: float) -> DeadlineSocket:
        sock = dial(host, port, context=context, by=by)
        while time.monotonic() <= by:
            time.sleep(0.005)
        return sock

    monkeypatch.setattr(connection, "dial", slow_dial)
    with Server(says(ACCEPTED)) as server:
        with pytest.raises(NeverSent, match="write_by passed"):
            client.cancel(credentials(server.url), ORDER, write_by=time.monotonic() + 0.3)
        assert server.ends.get(timeout=5) == "reset"
        assert not server.arrivals


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        http_answer(b'{"code":"0"}')[:-5],
        http_answer(b'{"code":"0"}  ')[:-1],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        http_answer(b"<html>"),
        b"garbage\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b'HTTP/1.1 200 OK\r\n\r\n{"code":"0"}' + b" " * MAX_BODY,
        http_answer(b"", status="502 Bad Gateway"),
        http_answer(b"", status="302 Found", headers="Location: /\r\n"),
    ],
)
def test_unreadable_answer_is_unknown_and_asked_once(client: OkxClient, answer: bytes) -> None:
    """Cut, garbled or missing answers leave the outcome unknown; the request arrives exactly once."""
    with Server(says_then_closes(answer)) as server:
        fails(client, server.url, OutcomeUnknown)
        assert len(server.arrivals) == len(server.accepted) == 1


@pytest.mark.parametrize("said", [b"", http_answer(b"x" * 99)[:60]])
def test_reset_while_answering_is_unknown_and_asked_once(client: OkxClient, said: bytes) -> None:
    """A reset after the request says nothing about its effect, and no retry is hidden below."""

    def answer(sock: socket.socket, _: bytes) -> None:
        sock.sendall(said)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()

    with Server(answer) as server:
        fails(client, server.url, OutcomeUnknown)
        assert len(server.arrivals) == len(server.accepted) == 1


def test_used_connection_that_breaks_is_not_retried(client: OkxClient) -> None:
    """A kept connection that dies under a request is as unknown as a new one."""

    def once(sock: socket.socket, _: bytes) -> None:
        if len(server.arrivals) == 1:
            sock.sendall(ACCEPTED)
        else:
            sock.shutdown(socket.SHUT_RDWR)

    with Server(once) as server:
        cancel(client, server.url)
        fails(client, server.url, OutcomeUnknown)
        assert (len(server.accepted), len(server.arrivals)) == (1, 2)


def test_redirect_is_not_followed(client: OkxClient) -> None:
    """The other address never hears of it."""
    with Server(says(ACCEPTED)) as other:
        moved = http_answer(
            b"", status="307 Temporary Redirect", headers=f"Location: {other.url}{CANCEL}\r\n"
        )
        with Server(says(moved)) as server:
            fails(client, server.url, OutcomeUnknown)
            assert len(server.arrivals) == 1
        assert not other.accepted


def test_closed_idle_connection_is_replaced_before_use(client: OkxClient) -> None:
    """A connection that the server closed while it idled is not written to."""
    with Server(says_then_closes(ACCEPTED)) as server:
        for calls in (1, 2, 3):
            cancel(client, server.url)
            assert server.ends.get(timeout=5) == "closed"
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
        assert [server.ends.get(timeout=5) for _ in range(2)] == ["reset"] * 2
        assert len(server.accepted) == 3


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (http_answer(b'{"msg":"Too Many Requests","code":"50011"}', status="429 Too Many"), Throttled),
        (http_answer(b'{"msg":"Invalid key","code":"50111"}', status="401 No"), NotAuthorised),
    ],
)
def test_refused_envelope_raises_and_closes(
    client: OkxClient, said: bytes, error: type[ExchangeError]
) -> None:
    """A refusal raises its class; no connection is reused after any error."""
    with Server(says(said)) as server:
        fails(client, server.url, error)
        assert server.ends.get(timeout=5) == "reset"
        fails(client, server.url, error)
        assert len(server.accepted) == 2


def test_proxies_of_the_environment_are_ignored(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy could repeat a request; none is ever used."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    with Server(says(ACCEPTED)) as server:
        cancel(client, server.url)


def test_last_used_connection_is_used_first(client: OkxClient) -> None:
    """Of many warm connections only as many are used as are needed at once."""
    with Server(says(ACCEPTED)) as server:
        assert client.warm(server.url, 3) == 3
        assert client.warm(server.url, 99) == 5  # the pool keeps 8
        for _ in range(4):
            cancel(client, server.url)
        assert len(set(server.peers)) == 1
        assert client.warm(server.url, 8) == 0


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
        assert server.ends.get(timeout=5) == "reset"
        cancel(client, server.url)
        assert server.ends.get(timeout=5) == "reset"


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
    """51603 is an answer: there is no such order; any other code raises."""
    with Server(says(rows(code="51603"))) as server:
        assert client.order(credentials(server.url), ORDER) == {}
        with pytest.raises(Refused):
            client.orders_pending(credentials(server.url), filters={})
    with Server(says(rows(code="51001"))) as server, pytest.raises(Refused):
        client.order(credentials(server.url), ORDER)


def test_account_config(client: OkxClient) -> None:
    """Lists come out as lists, and a key without an IP binding has none."""
    row = {"uid": "44", "mainUid": "43", "label": "risk", "perm": "read_only,trade", "ip": ""}
    with Server(says(rows(row))) as server:
        assert client.account_config(credentials(server.url)) == AccountConfig(
            uid="44", main_uid="43", label="risk", permissions=("read_only", "trade"), ip=()
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
        assert client.clock_offset_s(server.url) == 0.0
        assert client.measure_clock(server.url) == pytest.approx(100, abs=1)
        assert client.clock_offset_s(server.url) == pytest.approx(100, abs=1)
        cancel(client, server.url)
    stamp = server.arrivals[-1].partition(b"OK-ACCESS-TIMESTAMP: ")[2].partition(b"\r\n")[0].decode()
    assert datetime.fromisoformat(stamp).timestamp() == pytest.approx(time.time() + 100, abs=2)
    assert b"OK-ACCESS" not in server.arrivals[0]
