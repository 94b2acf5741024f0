"""Sends one request over one connection, at most once and within one deadline.

A `Wire` takes a request of `requests` over one connection, without a session: redirects, cookies, proxies and retries
have no place here, and looking for them costs a twelfth of a call. Whether the first byte was written is the only
thing that decides between `NeverSent` and `OutcomeUnknown`, whatever the exception.
"""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests

from bulk_cancel.worker.okx.errors import DeadlinePassed, ExchangeError, NeverSent, OutcomeUnknown, TooLate, in_words
from bulk_cancel.worker.okx.wire.framing import AnswerReader, request_bytes
from bulk_cancel.worker.okx.wire.sockets import DeadlineSocket, dial

CONNECT_S = 1.0
IDLE_S = 25.0
RECEIVED_AT_ONCE = 1 << 16


class Wire:
    """One connection to one address, used by one thread at a time; opened when first needed, and again after `close`.

    `context` is used for an https address. `timeout_s` bounds each call from its first byte to its last.
    """

    def __init__(self, base_url: str, *, context: ssl.SSLContext, timeout_s: float) -> None:
        parts = urlsplit(base_url)
        secure = parts.scheme == "https"
        self.host, self.port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._context = context if secure else None
        self._timeout_s = timeout_s
        self._host_header = _host_header(self.host, self.port, default_port=443 if secure else 80)
        self._sock: DeadlineSocket | None = None
        self._reader = AnswerReader()
        self._written = False
        self._used_at = 0.0

    def call(self, request: requests.PreparedRequest, *, write_by: float) -> tuple[int, bytes]:
        """HTTP status and body; the connection is closed by any error but TooLate, which does not touch it.

        Raises:
            NeverSent: no connection; TooLate: the monotonic instant `write_by` had passed, or was too near to connect.
            OutcomeUnknown: anything that went wrong from the first byte on.
        """
        sock = self.begin(request, write_by=write_by)
        while (answer := self.take_in()) is None:
            sock.wait()
        return answer

    def begin(self, request: requests.PreparedRequest, *, write_by: float) -> DeadlineSocket:
        """The first half of a call, which waits for nothing if it is connected: the socket that its answer comes from.

        Raises as `call` does; whoever waits on the socket calls `take_in` when there is something, or at its `ends_at`.
        """
        with self._judged():
            return self._write(request, write_by)

    def take_in(self) -> tuple[int, bytes] | None:
        """What has come by now: HTTP status and body once the answer is whole, else None; raises as `call` does."""
        with self._judged():
            while not self._reader.done:
                came = self._sock.receive(RECEIVED_AT_ONCE) if self._sock else b""
                if came is None:
                    return None
                self._reader.feed(came)
            return self._answered()

    def open(self, *, by: float) -> None:
        """Connect, unless connected, by the monotonic instant `by` and within CONNECT_S.

        Raises:
            OSError, UnicodeError: no connection.
        """
        self._connected(by)

    @property
    def retry_after(self) -> str:
        """The header `Retry-After` of the last answer; "" without one."""
        return self._reader.retry_after

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and not closed since by us."""
        return self._sock is not None

    def is_usable(self) -> bool:
        """Whether the next call may go over this connection as it is."""
        return self._sock is not None and not self.is_stale() and self._sock.is_quiet()

    def is_stale(self, within_s: float = 0.0) -> bool:
        """Whether it idled so long, or will have `within_s` from now, that the other side may be about to close it."""
        return time.monotonic() + within_s - self._used_at > IDLE_S

    def close(self) -> None:
        """Reset the connection, if there is one."""
        sock, self._sock = self._sock, None
        if sock:
            sock.close()

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Whatever is raised inside is one of errors.py."""
        try:
            yield
        except TooLate:
            raise
        except Exception as error:
            self.close()
            raise failure(error, written=self._written) from error
        except BaseException:
            self.close()
            raise

    def _write(self, request: requests.PreparedRequest, write_by: float) -> DeadlineSocket:
        self._written = False
        sock, data = self._connected(write_by), request_bytes(request, self._host_header)
        self._reader.expect()
        self._written = True
        sock.ends_at = time.monotonic() + self._timeout_s
        sock.sendall_by(data, by=write_by)
        return sock

    def _connected(self, by: float) -> DeadlineSocket:
        if self._sock is None:
            now = time.monotonic()
            try:
                self._sock = dial(self.host, self.port, context=self._context, by=min(by, now + CONNECT_S))
            except TimeoutError:
                if by - now < CONNECT_S / 2:  # that it was not there so fast says nothing of the other side
                    raise TooLate("write_by passed") from None
                raise
            self._reader, self._used_at = AnswerReader(), time.monotonic()
        return self._sock

    def _answered(self) -> tuple[int, bytes]:
        if not self._reader.keeps_open:
            self.close()
        self._used_at = time.monotonic()
        return self._reader.answer


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
    """The system's error, or the class as words: other texts may quote headers."""
    cause = error.strerror if isinstance(error, OSError) else None
    return cause or in_words(type(error))


def _host_header(host: str, port: int, *, default_port: int) -> str:
    name = f"[{host}]" if ":" in host else host.encode("idna").decode()
    return name if port == default_port else f"{name}:{port}"
