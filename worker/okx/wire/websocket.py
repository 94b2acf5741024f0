"""A WebSocket connection of one thread, which reads all that has come at once, however many messages that is.

The library's own threaded client has one more thread for each connection, which is woken for each message and hands it
on: that cost more than all that is made of a message afterwards.
"""

import ssl
import time
from collections import deque
from logging import WARNING, getLogger
from typing import Final
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import USER_AGENT
from websockets.protocol import State
from websockets.uri import parse_uri

from bulk_cancel.worker.okx.wire.sockets import dial

_CHUNK: Final = 1 << 16
_MAX_MESSAGE: Final = 1 << 20
_MESSAGES: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})

# the library shows whole frames at DEBUG, and our login is one
_UNHEARD: Final = getLogger(f"{__name__}.unheard")
_UNHEARD.setLevel(WARNING)


class WebSocket:
    """An open connection; closed by a reset. It follows no redirect, which could take a login elsewhere.

    Not thread-safe.
    """

    def __init__(self, url: str, *, timeout_s: float, context: ssl.SSLContext | None) -> None:
        """Connect within `timeout_s`, shake hands within as long; each write may take as long later.

        Raises:
            ValueError: a wss address without a `context`, or another one with it.
            OSError, websockets' WebSocketException: no connection.
        """
        parts = urlsplit(url)
        if (parts.scheme == "wss") != (context is not None):
            raise ValueError("TLS is for wss addresses, and only for them")
        self._timeout_s = timeout_s
        self._messages: deque[bytes] = deque()
        self._begun: list[bytes] = []
        self._protocol = ClientProtocol(parse_uri(url), max_size=_MAX_MESSAGE, logger=_UNHEARD)
        port = parts.port or (443 if context else 80)
        self._sock = dial(parts.hostname or "", port, context=context, by=time.monotonic() + timeout_s)
        try:
            self._shake_hands()
        except BaseException:
            self.close()
            raise

    def send(self, text: str) -> None:
        """Say it; raises websockets' ConnectionClosed or OSError."""
        self._ensure_open()
        self._protocol.send_text(text.encode())
        self._flush()

    def recv(self, timeout_s: float) -> bytes:
        """The next message, of those that have come or come in time.

        Raises:
            TimeoutError: none came.
            ConnectionClosed: websockets' own; all that came before has been given out.
        """
        self._sock.ends_at = time.monotonic() + timeout_s
        while not self._messages:
            self._ensure_open()
            self._read()
        return self._messages.popleft()

    def close(self) -> None:
        """Reset the connection."""
        self._sock.close()

    def _shake_hands(self) -> None:
        request = self._protocol.connect()
        request.headers["User-Agent"] = USER_AGENT
        self._protocol.send_request(request)
        self._sock.ends_at = time.monotonic() + self._timeout_s
        self._flush()
        while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
            self._read()
        if self._protocol.handshake_exc is not None:
            raise self._protocol.handshake_exc

    def _ensure_open(self) -> None:
        """After a goodbye nothing comes any more: that the other side closes the connection is not waited for."""
        if self._protocol.state is not State.OPEN:
            self._protocol.receive_eof()
            raise self._protocol.close_exc

    def _read(self) -> None:
        """Some of what has come, or the end; else waits for it. Raises TimeoutError at the socket's `ends_at`."""
        try:
            data = self._sock.receive(_CHUNK)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        if data is None:
            self._sock.wait()
        else:
            self._take_in(data)

    def _take_in(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in _MESSAGES:
                self._take(event)
        try:
            self._flush()  # an answer to a ping or a goodbye
        except OSError:
            self._protocol.receive_eof()

    def _take(self, frame: Frame) -> None:
        self._begun.append(bytes(frame.data))
        if frame.fin:
            self._messages.append(b"".join(self._begun))
            self._begun.clear()

    def _flush(self) -> None:
        if data := b"".join(self._protocol.data_to_send()):
            reads_until, self._sock.ends_at = self._sock.ends_at, time.monotonic() + self._timeout_s
            self._sock.sendall(data)
            self._sock.ends_at = reads_until
