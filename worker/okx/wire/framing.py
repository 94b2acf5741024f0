"""Puts a request into bytes and takes its answer out of them: HTTP/1.1 without a socket."""

from typing import Final

import requests
from httptools import HttpParserError, HttpResponseParser

MAX_ANSWER: Final = 1 << 20
"""Bytes of an answer, headers and all; the largest that is asked for has about 100 kB."""

_FRAMED_BY: Final = frozenset({b"content-length", b"transfer-encoding"})
_RETRY_AFTER: Final = b"retry-after"
_FINAL: Final = 200
_SPACES: Final = 2  # of a request line


class FramingError(Exception):
    """These bytes are no request, or no whole answer."""


def request_bytes(request: requests.PreparedRequest, host: str) -> bytes:
    """The request as it goes over the wire, its body as it was signed; raises FramingError, which quotes nothing."""
    body = request.body or b""
    if not isinstance(body, bytes):
        raise FramingError("only bytes can be signed as they are sent")
    lines = [f"{request.method} {request.path_url} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode("latin-1")
    breaks = len(lines) - 1
    if lines[0].count(" ") != _SPACES or not head.count(b"\r") == head.count(b"\n") == breaks or b"\0" in head:
        raise FramingError("a space in the path, or a line break in a header")
    return b"%b\r\n\r\n%b" % (head, body)


class AnswerReader:
    """Reads the answers of one connection, one after the other; interim ones (1xx) are passed over.

    `keeps_open`: the connection may be used again. `retry_after`: the header, if there was one.
    The methods `on_…` are the parser's.
    """

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.expect()

    def expect(self) -> None:
        """The next bytes are those of another answer."""
        self.done = self.keeps_open = False
        self.retry_after = ""
        self._received = 0
        self._begin()

    def feed(self, data: bytes | memoryview) -> None:
        """What was received next; nothing: the end. Raises FramingError, or httptools' own errors."""
        self._received += len(data)
        if self._received > MAX_ANSWER:
            raise FramingError("answer too large")
        if data:
            self._parse(data)
        elif self._in_body and not self._framed:
            self.done = True  # whoever tells no length ends with the connection
        else:
            raise FramingError("answer cut off")

    @property
    def answer(self) -> tuple[int, bytes]:
        """HTTP status and body, once `done`."""
        return self._parser.get_status_code(), b"".join(self._body)

    def _parse(self, data: bytes | memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            if not self.done:
                raise
            self.keeps_open = False  # what came behind the answer was not asked for

    def _begin(self) -> None:
        self._framed = self._in_body = False
        self._body: list[bytes] = []

    def on_message_begin(self) -> None:
        """An answer begins; a second one would be taken for that to the next request."""
        if self.done:
            raise FramingError("more than one answer")
        self._begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the headers only those matter that tell where the answer ends, and when to come again."""
        known = name.lower()
        self._framed = self._framed or known in _FRAMED_BY
        if known == _RETRY_AFTER:
            self.retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The status is known."""
        self._in_body = self._parser.get_status_code() >= _FINAL

    def on_body(self, data: bytes) -> None:
        """Some of the body."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """If it was no interim one, the answer is whole."""
        if self._in_body:
            self.done, self.keeps_open = True, self._parser.should_keep_alive()
