"""One TLS connection shared by a thread that reads and threads that write.

OpenSSL's state of a connection belongs to one thread at a time. A write beside a read that waits (TLS 1.3 says things
of its own after the handshake, so a socket is readable with nothing to read) could get lost, and the reader then waited
for ever, through `close`. Here each takes its turn, and nobody waits while it has it.
"""

import select
import socket
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
    """A TLS socket for one reading and any writing threads; made by a context that has it as `sslsocket_class`.

    From the handshake on, its timeout is that of writes. A read waits until something comes or somebody closes: being
    readable, which is all that a selector can tell, does not mean that there is anything for us.
    """

    _turn: "AbstractContextManager[object]" = nullcontext()
    _writing: "AbstractContextManager[object]" = nullcontext()
    _shared = False
    _write_s: float | None = None

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 (the library's)
        """The handshake is one thread's; from then on nothing blocks inside of OpenSSL."""
        super().do_handshake(block)
        self._write_s = self.gettimeout()
        super().settimeout(0.0)
        self._turn, self._writing, self._shared = Lock(), Lock(), True

    def settimeout(self, value: float | None) -> None:
        """For how many seconds a write may wait from now on."""
        if self._shared:
            self._write_s = value
        else:
            super().settimeout(value)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """What came, nothing at its end; raises OSError when it is closed."""
        return self._in_turns(lambda: ssl.SSLSocket.recv(self, buflen, flags), None)

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """Write all of it, one writer after the other; raises TimeoutError."""
        left = memoryview(data).cast("B")
        with self._writing:
            while left:
                sent = self._in_turns(lambda part=left: ssl.SSLSocket.send(self, part, flags), self._write_s)  # type: ignore[misc]
                left = left[sent:]

    def shutdown(self, how: int) -> None:
        """As of a plain socket; what is read after it is still deciphered."""
        with self._turn:
            socket.socket.shutdown(self, how)

    def close(self) -> None:
        """Not while somebody reads or writes: the descriptor may be another's at once."""
        with self._turn:
            super().close()

    def _in_turns(self, attempt: Callable[[], T], wait_s: float | None) -> T:
        gives_up = None if wait_s is None else time.monotonic() + wait_s
        while True:
            try:
                with self._turn:
                    return attempt()
            except (ssl.SSLWantReadError, BlockingIOError):
                wanted = select.POLLIN
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            if gives_up is not None and time.monotonic() >= gives_up:
                raise TimeoutError("the other side does not read")
            if (descriptor := self.fileno()) >= 0:  # else it was closed, and the next attempt raises
                poll = select.poll()
                poll.register(descriptor, wanted)
                poll.poll(_SLICE_MS)
