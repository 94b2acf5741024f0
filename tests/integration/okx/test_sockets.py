"""Is what a socket writes written whole, and not after its time? Over TCP and over TLS."""

import hashlib
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bulk_cancel.worker.okx.errors import TooLate
from bulk_cancel.worker.okx.wire.sockets import DeadlineSocket, dial, tls_context
from tests.support.certificate import self_signed
from tests.support.waiting import PATIENCE_S

BIG = bytes(range(256)) * 40_000


class Peer:
    """Takes one connection and reads all of it."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._pool = ThreadPoolExecutor(1)
        self.heard = self._pool.submit(self._hear)

    def _hear(self) -> bytes:
        with self._listening:
            sock, _ = self._listening.accept()
        with self._context.wrap_socket(sock, server_side=True) if self._context else sock as peer:
            parts = []
            while part := peer.recv(1 << 16):
                parts.append(part)
                if sum(map(len, parts)) >= len(BIG):
                    break
            return b"".join(parts)


@pytest.fixture(params=["tcp", "tls"])
def connected(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[DeadlineSocket, Peer]]:
    """A connection and whoever listens to it."""
    server = client = None
    if request.param == "tls":
        certificate = self_signed(tmp_path / "tls.pem")
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate)
        client = tls_context(str(certificate))
    peer = Peer(server)
    sock = dial("127.0.0.1", peer.port, context=client, by=time.monotonic() + PATIENCE_S)
    sock.ends_at = time.monotonic() + PATIENCE_S
    with sock:
        yield sock, peer


def test_more_than_the_buffers_hold_is_written_whole(connected: tuple[DeadlineSocket, Peer]) -> None:
    """10 MB: the first write takes a part of it."""
    sock, peer = connected
    sock.sendall_by(BIG, by=time.monotonic() + PATIENCE_S)
    heard = peer.heard.result(PATIENCE_S)
    assert hashlib.sha256(heard).digest() == hashlib.sha256(BIG).digest()


def test_nothing_is_written_after_its_time(connected: tuple[DeadlineSocket, Peer]) -> None:
    """Not a byte."""
    sock, peer = connected
    with pytest.raises(TooLate):
        sock.sendall_by(b"late", by=time.monotonic() - 1e-6)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\0" * 8)
    sock.shutdown(socket.SHUT_WR)
    assert peer.heard.result(PATIENCE_S) == b""
