"""Turns bytes into requests and replies into bytes (HTTP/1.1, keep-alive, Content-Length)."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl

MAX_HEAD = 64 * 1024
MAX_BODY = 16 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Request(NamedTuple):
    """One HTTP request; header names lower-case, `target` is path and query as sent, `peer` an address."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    peer: str

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The decoded query; of repeated names the last."""
        return dict(parse_qsl(self.target.partition("?")[2]))

    @property
    def keep_alive(self) -> bool:
        """Whether the client wants the connection to stay open."""
        return self.headers.get("connection", "").lower() != "close"


class Reply(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer of unknown length, sent chunk by chunk."""

    chunks: Iterator[bytes]


class BadRequestError(Exception):
    """The bytes are not a request that this server reads; the connection is closed."""


def take_request(buffer: bytearray, connection: int, peer: str) -> Request | None:
    """Remove the first whole request from the buffer; None until all of it is there."""
    end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        if len(buffer) >= MAX_HEAD:
            raise BadRequestError("head too long")
        return None
    first, *lines = buffer[:end].decode("latin-1").split("\r\n")
    headers = dict(_header(line) for line in lines)
    stop = end + 4 + _body_length(headers)
    if len(buffer) < stop:
        return None
    method, target = _request_line(first)
    request = Request(method, target, headers, bytes(buffer[end + 4 : stop]), connection, peer)
    del buffer[:stop]
    return request


def reply_bytes(reply: Reply, *, keep_alive: bool, promise_more: int = 0) -> bytes:
    """Head and body; `promise_more` is added to the Content-Length without being sent."""
    return (
        f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Unknown')}\r\n"
        f"Content-Type: {reply.content_type}\r\nContent-Length: {len(reply.body) + promise_more}\r\n"
        f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
    ).encode("latin-1") + reply.body


def stream_head() -> bytes:
    """The head of a chunked answer."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
    )


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked answer; empty data ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


def _request_line(line: str) -> tuple[str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
        raise BadRequestError("no HTTP/1.1 request line")
    return parts[0], parts[1]


def _body_length(headers: dict[str, str]) -> int:
    text = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not text.isdecimal() or int(text) > MAX_BODY:
        raise BadRequestError("body needs a Content-Length of at most 16 MiB")
    return int(text)
