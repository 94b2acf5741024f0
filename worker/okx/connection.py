"""How does one request cross one connection, at most once and within one deadline?

A `Wire` is a transport adapter of `requests` over one connection. Whether the first byte was written is the
only thing that decides between `NeverSent` and `OutcomeUnknown`, whatever the exception.
"""

import http.client
import io
import ssl
import time
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from worker.okx.errors import DeadlinePassed, ExchangeError, NeverSent, OutcomeUnknown
from worker.okx.sockets import DeadlineSocket, dial

CONNECT_S = 1.0
IDLE_S = 25.0
MAX_BODY = 1 << 20


class Wire(BaseAdapter):
    """One connection to one address, used by one thread at a time; opened when first needed.

    `context` is used for an https address. `timeout_s` bounds each call from its first byte to its last.
    """

    def __init__(self, base_url: str, *, context: ssl.SSLContext, timeout_s: float) -> None:
        super().__init__()
        parts = urlsplit(base_url)
        secure = parts.scheme == "https"
        self.host, self.port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._context = context if secure else None
        self._timeout_s = timeout_s
        self._dialogue = _Dialogue(self.host, self.port, secure=secure)
        self._session = _session(self)
        self._write_by = 0.0
        self._written = False
        self._used_at = 0.0

    def call(self, request: requests.PreparedRequest, *, write_by: float) -> tuple[int, bytes]:
        """HTTP status and body; the connection is closed by any error.

        Raises:
            NeverSent: no connection; TooLate: none before the monotonic instant `write_by`.
            OutcomeUnknown: anything that went wrong from the first byte on.
        """
        self._write_by, self._written = write_by, False
        try:
            response = self._session.send(request, allow_redirects=False, proxies={})
        except Exception as error:
            self.close()
            raise failure(error, written=self._written) from error
        except BaseException:
            self.close()
            raise
        return response.status_code, response.content

    def open(self, *, by: float) -> None:
        """Connect, unless connected, by the monotonic instant `by` and within CONNECT_S.

        Raises:
            OSError, UnicodeError: no connection.
        """
        if self._dialogue.sock is None:
            by = min(by, time.monotonic() + CONNECT_S)
            self._dialogue.sock = dial(self.host, self.port, context=self._context, by=by)
            self._used_at = time.monotonic()

    def is_usable(self) -> bool:
        """Whether the next call may go over this connection as it is."""
        sock = self._dialogue.socket
        return sock is not None and not self.is_stale() and sock.is_quiet()

    def is_stale(self, within_s: float = 0.0) -> bool:
        """Whether it idled so long, or will have `within_s` from now, that the other side may be about to close it."""
        return time.monotonic() + within_s - self._used_at > IDLE_S

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """`requests`' door: write the request and read the whole answer."""
        self.open(by=self._write_by)
        self._dialogue.request(request.method or "", request.path_url, request.body or None, dict(request.headers))
        self._write()
        status, body = self._read()
        self._used_at = time.monotonic()
        return _response(request, status, body)

    def close(self) -> None:
        """Reset the connection, if there is one."""
        self._dialogue.close()

    def _write(self) -> None:
        self._written = True
        self._dialogue.flush(by=self._write_by, ends_at=time.monotonic() + self._timeout_s)

    def _read(self) -> tuple[int, bytes]:
        with self._dialogue.getresponse() as answer:
            body = answer.read(MAX_BODY + 1)
            if len(body) > MAX_BODY:
                raise http.client.HTTPException("answer too large")
            if answer.length:  # read(n) is silent about a body that is cut short
                raise http.client.IncompleteRead(body, answer.length)
            return answer.status, body


def failure(error: Exception, *, written: bool) -> ExchangeError:
    """What an exception of a call means; `written`: the first byte may have left."""
    if isinstance(error, ExchangeError):
        return error
    if not written:
        return NeverSent(_words(error))
    if isinstance(error, TimeoutError | requests.Timeout):
        return DeadlinePassed(_words(error))
    return OutcomeUnknown(_words(error))


def _words(error: Exception) -> str:
    """Class and system error only: other texts may quote headers."""
    cause = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {cause}" if cause else type(error).__name__


def _session(wire: Wire) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", wire)
    session.mount("https://", wire)
    return session


def _response(request: requests.PreparedRequest, status: int, body: bytes) -> requests.Response:
    """No header is passed on: nobody reads one, and without `Location` no redirect can be followed."""
    response = requests.Response()
    response.request = request
    response.status_code = status
    response.raw = io.BytesIO(body)
    return response


class _Dialogue(http.client.HTTPConnection):
    """HTTP/1.1 over a socket given to it; a request leaves whole and only at `flush`."""

    def __init__(self, host: str, port: int, *, secure: bool) -> None:
        super().__init__(host, port)
        self.default_port = 443 if secure else 80  # left out of the Host header
        self.auto_open = 0
        self._pending = b""

    @property
    def socket(self) -> DeadlineSocket | None:
        """The socket, if connected."""
        return self.sock if isinstance(self.sock, DeadlineSocket) else None

    def send(self, data: object) -> None:
        """Keep it for `flush`."""
        if not isinstance(data, bytes):
            raise TypeError("only bytes can be signed as they are sent")
        self._pending += data

    def flush(self, *, by: float, ends_at: float) -> None:
        """Write the request in one go, not after `by`; it and its answer must be through by `ends_at`."""
        sock, data, self._pending = self.socket, self._pending, b""
        if sock is None:
            raise ConnectionError("not connected")
        sock.ends_at = ends_at
        sock.sendall_by(data, by=by)

    def close(self) -> None:
        """Close, and forget what was not flushed."""
        self._pending = b""
        super().close()
