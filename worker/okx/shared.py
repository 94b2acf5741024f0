"""How do a thread that reads and others that write share one TLS connection?

OpenSSL's state of a connection belongs to one thread at a time. A write beside a read that waits (TLS 1.3 says things
of its own after the handshake, so a socket is readable with nothing to read) could get lost, and the reader then waited
for ever, through `close`. Here each takes its turn, and nobody waits while it has it.
"""

import select
import ssl
import time
from collections.abc import Callable
from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from _typeshed import ReadableBuffer

T = TypeVar("T")

_SLICE_MS: Final = 50
"""A socket that is closed meanwhile wakes nobody: whoever waits looks again so often."""


class SharedTLSSocket(ssl.SSLSocket):
    """A TLS socket for one reading and any writing threads; made by a context that has it as `sslsocket_class`."""

    _turn: "AbstractContextManager[object]" = nullcontext()
    _shared = False
    _wait_s: float | None = None

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 (the library's)
        """The handshake is one thread's; from then on nothing blocks inside of OpenSSL."""
        super().do_handshake(block)
        self._wait_s = self.gettimeout()
        super().settimeout(0.0)
        self._turn, self._shared = Lock(), True

    def settimeout(self, value: float | None) -> None:
        """For how many seconds reads and writes wait from now on."""
        if self._shared:
            self._wait_s = value
        else:
            super().settimeout(value)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """What came, nothing at its end; raises TimeoutError."""
        return self._in_turns(lambda: ssl.SSLSocket.recv(self, buflen, flags))

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """Write all of it; raises TimeoutError."""
        left = memoryview(data).cast("B")
        while left:
            left = left[self._in_turns(lambda part=left: ssl.SSLSocket.send(self, part, flags)) :]  # type: ignore[misc]

    def close(self) -> None:
        """Not while somebody reads or writes: the descriptor may be another's at once."""
        with self._turn:
            super().close()

    def _in_turns(self, attempt: Callable[[], T]) -> T:
        gives_up = None if self._wait_s is None else time.monotonic() + self._wait_s
        while True:
            try:
                with self._turn:
                    return attempt()
            except (ssl.SSLWantReadError, BlockingIOError):
                wanted = select.POLLIN
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            if gives_up is not None and time.monotonic() >= gives_up:
                raise TimeoutError("the other side neither reads nor writes")
            if (descriptor := self.fileno()) >= 0:  # else it was closed, and the next attempt raises
                poll = select.poll()
                poll.register(descriptor, wanted)
                poll.poll(_SLICE_MS)
