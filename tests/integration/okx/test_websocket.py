"""Does a WebSocket give out every message that came, whole and in order, and end when it must?"""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.server import ServerConnection

from bulk_cancel.worker.okx.wire.sockets import tls_context
from bulk_cancel.worker.okx.wire.websocket import WebSocket
from tests.support.certificate import self_signed
from tests.support.channel_rig import LATE_S, saying

MANY = [str(number) * 100 for number in range(5_000)]


@contextmanager
def connected(handler: Callable[[ServerConnection], None]) -> Iterator[WebSocket]:
    """To an exchange whose every connection is `handler`'s."""
    with saying(handler) as url, closing(WebSocket(url, timeout_s=LATE_S, context=None)) as ours:
        yield ours


def test_messages_come_whole_and_in_order() -> None:
    """More than one read takes, large ones, and such as come in parts with pings between them."""

    def handler(theirs: ServerConnection) -> None:
        for text in MANY:
            theirs.send(text)
        theirs.send("x" * 500_000)
        theirs.send(part for part in ("in ", "three ", "parts"))
        assert theirs.ping().wait(LATE_S)
        theirs.send(str(theirs.recv(LATE_S)))

    with connected(handler) as ours:
        assert [ours.recv(LATE_S).decode() for _ in MANY] == MANY
        assert len(ours.recv(LATE_S)) == 500_000
        assert ours.recv(LATE_S) == b"in three parts"
        with pytest.raises(TimeoutError):
            ours.recv(0.05)  # meanwhile the ping is answered
        ours.send("heard")
        assert ours.recv(LATE_S) == b"heard"


def test_what_has_come_is_given_out_without_waiting() -> None:
    """All of it, with no time to wait at all; and then nobody waits."""
    sent = Event()

    def handler(theirs: ServerConnection) -> None:
        theirs.send("first")
        theirs.send("second")
        sent.set()
        theirs.recv(LATE_S)

    with connected(handler) as ours:
        assert sent.wait(LATE_S)
        assert [ours.recv(LATE_S), ours.recv(0)] == [b"first", b"second"]
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            ours.recv(0)
        assert time.monotonic() - began < LATE_S


def test_what_came_before_a_goodbye_is_given_out() -> None:
    """Then it is closed, for writing too, with the other side's words."""

    def handler(theirs: ServerConnection) -> None:
        theirs.send("last words")
        theirs.close(4004, "No data received")

    with connected(handler) as ours:
        assert ours.recv(LATE_S) == b"last words"
        with pytest.raises(ConnectionClosed, match="4004"):
            ours.recv(LATE_S)
        with pytest.raises(ConnectionClosed, match="4004"):
            ours.send("too late")


def test_what_came_before_a_reset_is_given_out() -> None:
    """A connection that ends without a goodbye is closed as well."""

    def handler(theirs: ServerConnection) -> None:
        theirs.send("last words")
        theirs.recv(LATE_S)
        theirs.socket.close()

    with connected(handler) as ours:
        assert ours.recv(LATE_S) == b"last words"
        ours.send("go")
        with pytest.raises(ConnectionClosed):
            ours.recv(LATE_S)


def test_a_message_beyond_all_bounds_is_the_end() -> None:
    """It would fill our memory."""

    def handler(theirs: ServerConnection) -> None:
        theirs.send("x" * ((1 << 20) + 1))

    with connected(handler) as ours, pytest.raises(ConnectionClosed, match="1009"):
        ours.recv(LATE_S)


def test_who_never_shakes_hands_is_left() -> None:
    """Not waited for without an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(TimeoutError):
        WebSocket(f"ws://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.05, context=None)


@pytest.mark.parametrize("said", [b"", b"220 ready\r\n"])
def test_what_is_no_websocket_is_told(said: bytes) -> None:
    """It hangs up, with or without words of its own."""

    def answer(listener: socket.socket) -> None:
        theirs, _ = listener.accept()
        theirs.recv(1 << 16)
        theirs.sendall(said)
        theirs.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=answer, args=[listener], daemon=True).start()
        with pytest.raises(InvalidHandshake):
            WebSocket(f"ws://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=LATE_S, context=None)


def test_over_tls(tmp_path: Path) -> None:
    """As over TCP: more than one record, and nothing said beside what TLS itself says."""
    certificate = self_signed(tmp_path / "server.pem")
    theirs_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs_context.load_cert_chain(certificate)

    def handler(theirs: ServerConnection) -> None:
        theirs.recv(LATE_S)
        for text in MANY:
            theirs.send(text)
        theirs.recv(LATE_S)

    with saying(handler, context=theirs_context) as url:
        with closing(WebSocket(url, timeout_s=LATE_S, context=tls_context(str(certificate)))) as ours:
            with pytest.raises(TimeoutError):
                ours.recv(0.05)
            ours.send("go")
            assert [ours.recv(LATE_S).decode() for _ in MANY] == MANY
        with pytest.raises(ValueError, match="only for them"):
            WebSocket(url, timeout_s=LATE_S, context=None)  # a login would go out in the clear
        with pytest.raises(ValueError, match="only for them"):
            WebSocket(url.replace("wss:", "ws:"), timeout_s=LATE_S, context=tls_context(str(certificate)))
