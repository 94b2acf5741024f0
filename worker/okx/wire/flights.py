"""Waits for the answers of all calls in flight, on one thread: a thread for each call cost more than the call."""

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import Final

import structlog

from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.okx.wire.connection import Wire, failure
from bulk_cancel.worker.okx.wire.sockets import DeadlineSocket

log = structlog.get_logger(__name__)

Came = tuple[int, bytes] | ExchangeError
"""HTTP status and body, or why there is no answer."""

Landed = Callable[[Came], None]
"""Is told what came, once for each flight."""

_STOP_S: Final = 1.0
_PAUSE_S: Final = 0.1


class Flights:
    """Calls that were written and wait for their answers, each until its socket's `ends_at`.

    `landed` is called on the thread of this, and must not wait: all others wait for it. The thread begins with the
    first flight. All flights have the same time to answer, so the first one is the first to run out. Thread-safe.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._flying: dict[DeadlineSocket, tuple[Wire, Landed]] = {}
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closed = False
        self._bell, self._heard = socket.socketpair()
        self._bell.settimeout(0.0)
        self._selector.register(self._heard, selectors.EVENT_READ)

    def add(self, wire: Wire, sock: DeadlineSocket, landed: Landed) -> None:
        """The call that `wire` began on `sock` is in flight."""
        with self._lock:
            is_first = not self._flying
            self._selector.register(sock, selectors.EVENT_READ)
            self._flying[sock] = wire, landed
            self._thread = self._thread or self._started()
        if is_first:
            self._ring()  # the thread waits without an end while there are none

    def close(self) -> None:
        """Nothing lands any more; `add` raises."""
        with self._lock:
            was_closed, self._closed = self._closed, True
        if was_closed:
            return
        self._ring()
        if self._thread:
            self._thread.join(_STOP_S)
        for each in (self._selector, self._bell, self._heard):
            each.close()

    def _started(self) -> Thread:
        thread = Thread(target=self._run, name="flights", daemon=True)
        thread.start()
        return thread

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it has not been heard yet
            self._bell.send(b"1")

    def _run(self) -> None:
        while not self._closed:
            try:
                self._round()
            except Exception:  # without this thread no call would ever land
                log.exception("flights_failed")
                time.sleep(_PAUSE_S)

    def _round(self) -> None:
        for key, _ in self._selector.select(self._left_s()):
            if isinstance(key.fileobj, DeadlineSocket):
                self._look_at(key.fileobj)
            else:
                self._heard.recv(1 << 10)
        self._look_at_late()

    def _left_s(self) -> float | None:
        with self._lock:
            first = next(iter(self._flying), None)
        return None if first is None else max(0.0, first.ends_at - time.monotonic())

    def _look_at_late(self) -> None:
        now = time.monotonic()
        with self._lock:
            late = [sock for sock in self._flying if sock.ends_at <= now]
        for sock in late:
            self._look_at(sock)

    def _look_at(self, sock: DeadlineSocket) -> None:
        # before anything can close it: its number may be another socket's at once
        with self._lock:
            self._selector.unregister(sock)
            wire, landed = self._flying[sock]
        came = _taken_in(wire)
        with self._lock:
            if came is None:
                self._selector.register(sock, selectors.EVENT_READ)
                return
            del self._flying[sock]
        try:
            landed(came)
        except Exception:
            log.exception("call_failed")


def _taken_in(wire: Wire) -> tuple[int, bytes] | ExchangeError | None:
    try:
        return wire.take_in()
    except Exception as error:  # noqa: BLE001 (a call that is not told of would hold its permit for ever)
        return failure(error, written=True)
