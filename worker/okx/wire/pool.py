"""Keeps connections open and chooses the one that a call uses.

The one used last, so that few stay hot and the rest grow old and are dropped. A connection belongs to one
call at a time; what comes back closed, as after any error, is dropped.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from bulk_cancel.worker.okx.wire.connection import Wire

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
        self._used: Counter[str] = Counter()
        self._closed = False

    @contextmanager
    def wire(self, base_url: str) -> Iterator[Wire]:
        """One connection, perhaps not opened yet."""
        wire = self.take(base_url)
        try:
            yield wire
        finally:
            self.give_back(base_url, wire)

    def take(self, base_url: str) -> Wire:
        """One connection, perhaps not opened yet, until it is given back."""
        while wire := self._pop(base_url):
            if wire.is_usable():
                break
            wire.close()
        with self._lock:
            self._used[base_url] += 1
        return wire or self._make(base_url)

    def give_back(self, base_url: str, wire: Wire) -> None:
        """What was taken."""
        self._give(base_url, wire, used=1)

    def warm(self, base_url: str, connections: int) -> int:
        """Open connections until so many are open, in use or idle (never more than `keep`); how many that took.

        Those that will grow old within `WARM_AHEAD_S` do not count, and go one by one as new ones take their place:
        there is no moment at which a call would find fewer, nor one at which dialling is in its way.
        """
        wanted, (lasting, ageing) = min(connections, self._keep), self._open(base_url)
        missing = wanted - lasting
        if missing <= 0 or not self.connect(base_url):
            return 0  # whoever is away is asked once, not for each connection
        dialers = 1 if lasting + ageing >= wanted else _DIALERS
        with ThreadPoolExecutor(dialers, "okx-warm") as executor:
            return 1 + sum(executor.map(self.connect, [base_url] * (missing - 1)))

    def connect(self, base_url: str) -> bool:
        """Open one more connection; whether that was possible."""
        wire = self._make(base_url)
        try:
            wire.open(by=float("inf"))
        except (OSError, UnicodeError):
            return False
        self._give(base_url, wire)
        return True

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        with self._lock:
            self._closed = True
            wires = [wire for idle in self._idle.values() for wire in idle]
            self._idle.clear()
        for wire in wires:
            wire.close()

    def _open(self, base_url: str) -> tuple[int, int]:
        """How many are open and will be for a while, and how many not; what the other side has closed is taken out."""
        with self._lock:
            idle = self._idle.setdefault(base_url, [])
            dead = [wire for wire in idle if not wire.is_usable()]
            idle[:] = [wire for wire in idle if wire not in dead]
            ageing = sum(wire.is_stale(WARM_AHEAD_S) for wire in idle)
            lasting = self._used[base_url] + len(idle) - ageing
        for wire in dead:
            wire.close()
        return lasting, ageing

    def _pop(self, base_url: str) -> Wire | None:
        with self._lock:
            idle = self._idle.get(base_url)
            return idle.pop() if idle else None

    def _give(self, base_url: str, wire: Wire, *, used: int = 0) -> None:
        with self._lock:
            self._used[base_url] -= used
            idle = self._idle.setdefault(base_url, [])
            if wire.is_open:
                idle.append(wire)
            surplus = _surplus(idle, 0 if self._closed else self._keep)
        for each in surplus:
            each.close()


def _surplus(idle: list[Wire], keep: int) -> list[Wire]:
    """Take out those that idled too long, and the oldest of more than `keep`; they lie at the bottom."""
    surplus: list[Wire] = []
    while idle and (len(idle) > keep or idle[0].is_stale()):
        surplus.append(idle.pop(0))
    return surplus
