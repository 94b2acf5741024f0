"""Writes down what calls brought: the thread that finishes a call first does so for all that finish while it writes.

A record costs about the same for one call as for ten, and calls of a burst are answered together: while one thread
records, the others leave their results with it and go on.
"""

import time
from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import Final

import structlog

from bulk_cancel.worker.state.claims import Done, Recorded
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.scripts import TRANSIENT
from bulk_cancel.worker.state.seldom import Seldom

log = structlog.get_logger(__name__)

RECORD_FOR_S: Final = 60.0
"""How long a result is kept in hand while Redis is away; after that its claim has ended and its jobs go again."""

ORDERS_AT_ONCE: Final = 100
"""Orders in one record: a few milliseconds in which Redis does nothing else."""

_AGAIN_S: Final = 0.2
"""Between two attempts while Redis is away; `Scripts` has made a few by then."""


class Recorder:
    """Records calls; `after` is told of those recorded together, with None where it could not be done. Thread-safe."""

    def __init__(
        self, lanes: Lanes, stopping: Event, after: Callable[[Sequence[tuple[Done, Recorded | None]]], None]
    ) -> None:
        self._lanes = lanes
        self._stopping = stopping
        self._after = after
        self._lock = Lock()
        self._waiting: list[Done] = []
        self._writing = False
        self._waits = Seldom()

    def add(self, calls: Sequence[Done]) -> None:
        """Recorded when this returns, or left with the thread that records now."""
        with self._lock:
            self._waiting += calls
            if self._writing:
                return
            self._writing = True
        while taken := self._take():
            try:
                self._after(list(zip(taken, self._record(taken), strict=True)))
            except Exception:
                log.exception("record_failed", calls=[done.call.id for done in taken])

    def _take(self) -> list[Done]:
        """The next ones that are recorded together; none ends this thread's turn."""
        with self._lock:
            count, orders = 0, 0
            for done in self._waiting:
                orders += len(done.call.jobs)
                if count and orders > ORDERS_AT_ONCE:
                    break
                count += 1
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
            self._writing = bool(taken)
            return taken

    def _record(self, calls: Sequence[Done]) -> Sequence[Recorded | None]:
        """For as long as Redis may come back and this worker runs; one that Redis will not take spoils no other."""
        try:
            return self._patiently(calls)
        except Exception as error:
            if len(calls) > 1 and not isinstance(error, TRANSIENT):
                return [recorded for done in calls for recorded in self._record([done])]
            for done in calls:
                log.exception("result_lost", lane=done.claim.lane, call=done.call.id, error=str(error))
            return [None] * len(calls)

    def _patiently(self, calls: Sequence[Done]) -> Sequence[Recorded]:
        gives_up = time.monotonic() + RECORD_FOR_S
        while True:
            try:
                return self._lanes.record(calls)
            except TRANSIENT as error:
                if time.monotonic() > gives_up or self._stopping.is_set():
                    raise
                kind = type(error).__name__
                self._waits.say(log.warning, "record_waits", kind=kind, calls=len(calls), error=str(error))
                self._stopping.wait(_AGAIN_S)
