"""Can one thread read a TLS connection while others write and close it?"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from bulk_cancel.worker.okx.wire.shared import SharedTLSSocket
from bulk_cancel.worker.okx.wire.sockets import tls_context
from tests.support.certificate import self_signed

SOON_S = 10.0
LARGE = bytes(range(256)) * 40_000  # more than the sockets take at once


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[SharedTLSSocket, ssl.SSLSocket]]:
    """Our end of a TLS 1.3 connection, and the other one."""
    certificate = self_signed(tmp_path / "server.pem")
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls_context(str(certificate))
    theirs.load_cert_chain(certificate)
    ours.sslsocket_class = SharedTLSSocket
    accepted: list[ssl.SSLSocket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taking = Thread(target=lambda: accepted.append(theirs.wrap_socket(listener.accept()[0], server_side=True)))
        taking.start()
        mine = ours.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname="127.0.0.1")
        taking.join(SOON_S)
    assert isinstance(mine, SharedTLSSocket)
    mine.settimeout(SOON_S)
    accepted[0].settimeout(SOON_S)
    with mine, accepted[0]:
        yield mine, accepted[0]


def reading(mine: SharedTLSSocket) -> tuple[Thread, list[bytes]]:
    """A thread that reads what comes until the end or an error."""
    read, began = [], Event()

    def run() -> None:
        began.set()
        with suppress(OSError):
            while data := mine.recv(1 << 16):
                read.append(data)

    thread = Thread(target=run, daemon=True)
    thread.start()
    assert began.wait(SOON_S)
    return thread, read


def test_a_reader_that_waits_ends_with_the_connection(ends: tuple[SharedTLSSocket, ssl.SSLSocket]) -> None:
    """What was written beside it arrives; of a plain TLS socket the reader would wait for ever."""
    mine, theirs = ends
    mine.settimeout(None)
    thread, read = reading(mine)
    mine.sendall(b"a")
    assert theirs.recv(9) == b"a"
    mine.close()
    thread.join(SOON_S)
    assert not thread.is_alive()
    assert not read


def test_both_ways_at_once(ends: tuple[SharedTLSSocket, ssl.SSLSocket]) -> None:
    """More than fits into either direction, whole and in order."""
    mine, theirs = ends
    thread, read = reading(mine)
    sending = Thread(target=mine.sendall, args=[LARGE])
    sending.start()
    theirs.sendall(LARGE)
    got = b""
    while len(got) < len(LARGE):
        got += theirs.recv(1 << 16)
    sending.join(SOON_S)
    theirs.close()
    thread.join(SOON_S)
    assert got == LARGE
    assert b"".join(read) == LARGE


def test_a_write_that_nobody_takes_has_an_end_and_a_read_has_none(
    ends: tuple[SharedTLSSocket, ssl.SSLSocket],
) -> None:
    """A channel may be silent for longer than a write may take."""
    mine, theirs = ends
    mine.settimeout(0.05)
    thread, read = reading(mine)
    with pytest.raises(TimeoutError):
        mine.sendall(LARGE)
    theirs.sendall(b"a")
    theirs.close()
    thread.join(SOON_S)
    assert b"".join(read) == b"a"


def test_writers_wait_for_each_other(ends: tuple[SharedTLSSocket, ssl.SSLSocket]) -> None:
    """What one writes is not cut by another, however slowly it is taken."""
    mine, theirs = ends
    parts = [bytes([letter]) * len(LARGE) for letter in b"ab"]
    writers = [Thread(target=mine.sendall, args=[part]) for part in parts]
    for writer in writers:
        writer.start()
    got = b""
    while len(got) < 2 * len(LARGE):
        got += theirs.recv(1 << 16)
    for writer in writers:
        writer.join(SOON_S)
    assert got in (b"".join(parts), b"".join(reversed(parts)))


def test_what_comes_after_a_shutdown_is_read_as_well(ends: tuple[SharedTLSSocket, ssl.SSLSocket]) -> None:
    """A plain TLS socket hands out the enciphered bytes."""
    mine, theirs = ends
    mine.shutdown(socket.SHUT_WR)
    theirs.sendall(b"late")
    assert mine.recv(9) == b"late"
