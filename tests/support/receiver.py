"""Who receives alerts in a test? An HTTP server that answers as it is told, and keeps what arrived."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from threading import Event, Semaphore, Thread
from typing import Any

from tests.support.waiting import PATIENCE_S

PATH = "/hooks/very-secret-path?token=very-secret-token"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        """The body as JSON."""
        return dict(json.loads(self.body))


@dataclass
class Receiver:
    """`answers` are HTTP statuses for the next posts, when used up 204; 0: none at all, -1: a byte every 0.2 s."""

    port: int
    answers: list[int] = field(default_factory=list)
    retry_after: str = ""
    deliveries: list[Delivery] = field(default_factory=list)
    arrived: Semaphore = field(default_factory=lambda: Semaphore(0))
    over: Event = field(default_factory=Event)
    connections: list[socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens, with a path and a query that nobody may see."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    def wait(self, count: int = 1, timeout_s: float = PATIENCE_S) -> list[Delivery]:
        """All that arrived, once so many more than at the last wait have."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=timeout_s), f"{len(self.deliveries)} deliveries only"
        return self.deliveries


@contextmanager
def receiver(*answers: int, port: int = 0) -> Iterator[Receiver]:
    """Runs one for the length of a block; connections end with it."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.receiver = Receiver(server.server_port, list(answers))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.receiver.over.set()
        server.shutdown()
        for connection in server.receiver.connections:
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)
        server.server_close()


class _Server(ThreadingHTTPServer):
    """Quiet about clients that reset their connections, as ours do."""

    daemon_threads = True
    receiver: Receiver

    def handle_error(self, *_: object) -> None:
        """Nothing."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.server.receiver.connections.append(self.request)
        super().setup()

    def do_POST(self) -> None:
        kept = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kept.deliveries.append(Delivery(self.path, dict(self.headers.items()), body))
        status = kept.answers.pop(0) if kept.answers else 204
        kept.arrived.release()
        if status <= 0:
            while not kept.over.wait(0.2 if status else 30):
                self.wfile.write(b"H")
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status >= 500 and kept.retry_after:
            self.send_header("Retry-After", kept.retry_after)
        if status in {301, 302, 307}:
            self.send_header("Location", f"http://127.0.0.1:{kept.port}/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""
