"""Bounds everything that a socket does for one call by one deadline.

`requests`' own timeout is per read: a server that says a byte a second is never too slow for it. These
sockets give each operation only what is left until `ends_at`, and every way of closing them is a reset, so
that nothing that was written keeps trying to arrive.
"""

import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bulk_cancel.worker.okx.errors import TooLate

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# as getaddrinfo gives it: family, kind, protocol, canonical name, address
_AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str | int | bytes, ...]]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


# Asked in a `for`, the clock is read without a chance for another thread to run before the next instruction.
_clock: Iterator[float] = iter(time.monotonic, None)


class DeadlineSocket(socket.socket):
    """A TCP socket whose reads and writes raise TimeoutError from `ends_at` (a monotonic instant) on."""

    ends_at = 0.0

    def sendall_by(self, data: bytes, *, by: float) -> None:
        """Write all of it, the first byte by the monotonic instant `by`; raises TooLate when it is past.

        Between the clock and the system call nothing waits: with a timeout, Python would poll first and then wait for
        its turn among all threads, and a process that is stopped there would write long after `by`.
        """
        self.settimeout(0.0)
        write, sent = self._writer(), 0
        for now in _clock:
            if now > by:
                raise TooLate("write_by passed")
            try:
                sent = write(data)
            except BlockingIOError:
                raise TimeoutError("the connection takes nothing") from None  # it might do so only long after `by`
            except ssl.SSLWantWriteError:
                sent = 0  # OpenSSL may have taken a part of it
            break
        if sent < len(data):
            self.sendall(data[sent:])

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """Write all of it, or raise at `ends_at`."""
        self._limit()
        super().sendall(data, flags)

    def wait(self) -> None:
        """Until there may be something to receive, or until `ends_at`."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        poll.poll(max(0.0, self.ends_at - time.monotonic()) * 1000)

    def receive(self, most: int) -> bytes | None:
        """Some of what has come, nothing at its end; None if nothing has, TimeoutError if so from `ends_at` on."""
        if self.gettimeout() != 0.0:
            self.settimeout(0.0)
        try:
            return self.recv(most)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if time.monotonic() >= self.ends_at:
                raise TimeoutError("deadline passed") from None
            return None

    def is_quiet(self) -> bool:
        """Whether the peer neither closed nor said anything unasked for (TLS tickets are taken in)."""
        self.settimeout(0.0)
        try:
            self.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def _writer(self) -> Callable[[bytes], int]:
        """What makes the system call, without a function of Python's in between."""
        return super().send

    def _limit(self) -> None:
        left_s = self.ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("deadline passed")
        self.settimeout(left_s)


class DeadlineTLSSocket(DeadlineSocket, ssl.SSLSocket):
    """The same over TLS; made by a context that has it as `sslsocket_class`."""

    def _writer(self) -> Callable[[bytes], int]:
        writer: Callable[[bytes], int] = self._sslobj.write  # type: ignore[attr-defined]  # what `send` calls
        return writer


def tls_context(verify: str) -> ssl.SSLContext:
    """A client context that trusts the CA bundle (or one certificate) in the file `verify`."""
    context = ssl.create_default_context(cafile=verify)
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = DeadlineTLSSocket
    return context


def dial(host: str, port: int, *, context: ssl.SSLContext | None, by: float) -> DeadlineSocket:
    """A connected socket, over TLS if there is a context.

    Raises:
        OSError, UnicodeError: no connection by the monotonic instant `by` (the name service is not bounded).
    """
    sock = _dial_any(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), by)
    if context is None:
        return sock
    sock.settimeout(_left_s(by))
    try:
        return _as_tls(context.wrap_socket(sock, server_hostname=host))
    except BaseException:
        sock.close()  # of no effect once the TLS socket took over, which then closes itself
        raise


def _dial_any(addresses: Sequence[_AddressInfo], by: float) -> DeadlineSocket:
    """The first that answers; each but the last may take half of the time left."""
    for address in addresses[:-1]:
        try:
            return _dial_one(address, _left_s(by) / 2)
        except OSError:
            continue
    return _dial_one(addresses[-1], _left_s(by))


def _dial_one(address: _AddressInfo, timeout_s: float) -> DeadlineSocket:
    family, kind, protocol, _, name = address
    sock = DeadlineSocket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout_s)
        sock.connect(name)
    except BaseException:
        sock.close()
        raise
    return sock


def _left_s(by: float) -> float:
    left_s = by - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("no time left to connect")
    return left_s


def _as_tls(sock: ssl.SSLSocket) -> DeadlineTLSSocket:
    if not isinstance(sock, DeadlineTLSSocket):
        raise TypeError("the context makes sockets without a deadline")
    return sock
