"""Is a request written at most once, in time and never repeated, whatever the server does?"""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from bulk_cancel.worker.okx.client import CANCEL, OkxClient
from bulk_cancel.worker.okx.errors import (
    DeadlinePassed,
    NeverSent,
    OutcomeUnknown,
    TooLate,
)
from bulk_cancel.worker.okx.wire import connection
from bulk_cancel.worker.okx.wire.connection import CONNECT_S
from bulk_cancel.worker.okx.wire.framing import MAX_ANSWER
from bulk_cancel.worker.okx.wire.sockets import DeadlineSocket, dial
from tests.support.okx_server import (
    ACCEPTED,
    ORDER,
    RESET,
    Server,
    cancel,
    credentials,
    dribbles,
    fails,
    http_answer,
    open_client,
    says,
    says_then_closes,
)
from tests.support.waiting import PATIENCE_S

TIMEOUT_S = 0.3


@pytest.fixture
def client() -> Iterator[OkxClient]:
    """A client in no hurry."""
    with open_client() as client:
        yield client


@pytest.fixture
def hasty_client() -> Iterator[OkxClient]:
    """A client with a short deadline."""
    with open_client(timeout_s=TIMEOUT_S) as client:
        yield client


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nX-Slow: ", http_answer(b"x" * 999)[:60]])
def test_dribbled_answer_is_cut_with_a_reset(hasty_client: OkxClient, head: bytes) -> None:
    """A server that says a little all the time is cut at the total deadline, in head and body alike."""
    with Server(dribbles(head)) as server:
        took_s = fails(hasty_client, server.url, DeadlinePassed)
        assert TIMEOUT_S <= took_s < PATIENCE_S
        assert server.ends.get(timeout=PATIENCE_S) == "reset"
        assert len(server.arrivals) == 1


def test_refused_connection_is_never_sent(client: OkxClient) -> None:
    """Nobody listens: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fails(client, f"http://127.0.0.1:{port}", NeverSent)
    assert client.warm(f"http://127.0.0.1:{port}", 2) == 0


@pytest.mark.parametrize("dead_first", [True, False])
def test_any_living_address_is_reached(client: OkxClient, monkeypatch: pytest.MonkeyPatch, *, dead_first: bool) -> None:
    """A name with a dead address is reached at its living one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = listener.getsockname()[1]
    with Server(says(ACCEPTED)) as server:
        ports = [dead, urlsplit(server.url).port][:: 1 if dead_first else -1]
        found = [socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)[0] for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        cancel(client, server.url)


def test_write_by_passed_sends_nothing(client: OkxClient) -> None:
    """Too late before it began: not even a connection, and nothing over one that is open, which stays so."""
    with Server(says(ACCEPTED)) as server:
        for warm in (0, 1):
            client.warm(server.url, warm)
            with pytest.raises(TooLate):
                client.cancel(credentials(server.url), ORDER, write_by=time.monotonic() - 0.001)
        assert not server.arrivals
        cancel(client, server.url)
        assert (len(server.accepted), len(server.arrivals)) == (1, 1)


def test_an_address_that_is_not_reached_in_the_little_time_left_is_not_to_blame(client: OkxClient) -> None:
    """A listener with a full queue answers nobody: with time left that is no connection, within 50 ms we are late."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        address = listener.getsockname()
        for _ in range(4):  # Linux lets in one more than the queue holds
            other = stack.enter_context(socket.socket())
            other.settimeout(0.0)
            other.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}"
        for left_s, error in ((0.05, TooLate), (10 * CONNECT_S, NeverSent)):
            with pytest.raises(NeverSent) as raised:
                client.cancel(credentials(url), ORDER, write_by=time.monotonic() + left_s)
            assert type(raised.value) is error


def test_write_by_passed_while_connecting(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is ready only after `write_by` carries nothing, until the next call uses it."""

    def slow_dial(host: str, port: int, *, context: ssl.SSLContext | None, by: float) -> DeadlineSocket:
        sock = dial(host, port, context=context, by=by)
        while time.monotonic() <= by:
            time.sleep(0.005)
        return sock

    monkeypatch.setattr(connection, "dial", slow_dial)
    with Server(says(ACCEPTED)) as server:
        with pytest.raises(TooLate, match="write_by passed"):
            client.cancel(credentials(server.url), ORDER, write_by=time.monotonic() + 0.3)
        assert not server.arrivals
        cancel(client, server.url)
        assert (len(server.accepted), len(server.arrivals)) == (1, 1)


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
        b'HTTP/1.1 200 OK\r\n\r\n{"code":"0"}' + b" " * MAX_ANSWER,
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
        moved = http_answer(b"", status="307 Temporary Redirect", headers=f"Location: {other.url}{CANCEL}\r\n")
        with Server(says(moved)) as server:
            fails(client, server.url, OutcomeUnknown)
            assert len(server.arrivals) == 1
        assert not other.accepted


def test_proxies_of_the_environment_are_ignored(client: OkxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy could repeat a request; none is ever used."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    with Server(says(ACCEPTED)) as server:
        cancel(client, server.url)
