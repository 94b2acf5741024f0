"""What does a scripted exchange say over a real socket, and what did it hear?"""

import json
import queue
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.okx.orders import OrderRef
from tests.support.waiting import PATIENCE_S

ORDER = OrderRef("BTC-USDT", "2510789768709120")
RESET = struct.pack("ii", 1, 0)


@contextmanager
def open_client(*, timeout_s: float = PATIENCE_S, verify: Path | None = None) -> Iterator[OkxClient]:
    """A client that is closed in the end; it is in no hurry unless told so."""
    client = OkxClient(timeout_s=timeout_s, pool=8, verify=str(verify) if verify else None)
    yield client
    client.close()


class Server:
    """A scripted server: one thread per connection, each request goes to `answer(socket, request)`.

    `arrivals` holds the requests as they came, `peers` from which ports, `accepted` each connection, `wires`
    the same as they are spoken over, `begun` as soon as they are, `ends` how each connection ended ("closed" or
    "reset").
    """

    def __init__(self, answer: Callable[[socket.socket, bytes], None], tls: ssl.SSLContext | None = None) -> None:
        self._answer, self._tls = answer, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.arrivals: list[bytes] = []
        self.peers: list[int] = []
        self.accepted: list[socket.socket] = []
        self.wires: list[socket.socket] = []
        self.begun: queue.Queue[socket.socket] = queue.Queue()
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
                self.begun.put(wire)
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
    return time.monotonic() + PATIENCE_S


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
