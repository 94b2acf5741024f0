"""Which connection does a call use?

The one used last, so that few stay hot and the rest grow old and are dropped. A connection belongs to one
call at a time, and comes back only after a call without any error.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from worker.okx.connection import Wire

_DIALERS = 8
WARM_AHEAD_S = 10.0
"""Whoever keeps connections warm does so at least this often."""


class Pool:
    """Idle connections by address, at most `keep` each; more may be in use. Thread safe."""

    def __init__(self, make: Callable[[str], Wire], *, keep: int) -> None:
        self._make = make
        self._keep = keep
        self._lock = threading.Lock()
        self._idle: dict[str, list[Wire]] = {}
        self._closed = False

    @contextmanager
    def wire(self, base_url: str) -> Iterator[Wire]:
        """One connection, perhaps not opened yet; closed if the block raises."""
        wire = self._take(base_url)
        try:
            yield wire
        except BaseException:
            wire.close()
            raise
        self._give(base_url, wire)

    def warm(self, base_url: str, connections: int) -> int:
        """Open connections until so many are idle (never more than `keep`); how many could be opened.

        Those that would grow old within `WARM_AHEAD_S` are replaced first.
        """
        with self._lock:
            idle = self._idle.setdefault(base_url, [])
            old = _old(idle, WARM_AHEAD_S)
            missing = min(connections, self._keep) - len(idle)
        for wire in old:
            wire.close()
        if missing <= 0:
            return 0
        with ThreadPoolExecutor(min(missing, _DIALERS), "okx-warm") as dialers:
            return sum(dialers.map(self._warm_one, [base_url] * missing))

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        with self._lock:
            self._closed = True
            wires = [wire for idle in self._idle.values() for wire in idle]
            self._idle.clear()
        for wire in wires:
            wire.close()

    def _warm_one(self, base_url: str) -> bool:
        wire = self._make(base_url)
        try:
            wire.open(by=float("inf"))
        except (OSError, UnicodeError):
            return False
        self._give(base_url, wire)
        return True

    def _take(self, base_url: str) -> Wire:
        while wire := self._pop(base_url):
            if wire.is_usable():
                return wire
            wire.close()
        return self._make(base_url)

    def _pop(self, base_url: str) -> Wire | None:
        with self._lock:
            idle = self._idle.get(base_url)
            return idle.pop() if idle else None

    def _give(self, base_url: str, wire: Wire) -> None:
        with self._lock:
            idle = self._idle.setdefault(base_url, [])
            dropped = [] if self._closed else _old(idle)
            if self._closed or len(idle) >= self._keep:
                dropped.append(wire)
            else:
                idle.append(wire)
        for old in dropped:
            old.close()


def _old(idle: list[Wire], within_s: float = 0.0) -> list[Wire]:
    """Take out those that idled too long, or will have `within_s` from now; they lie at the bottom."""
    old: list[Wire] = []
    while idle and idle[0].is_stale(within_s):
        old.append(idle.pop(0))
    return old
