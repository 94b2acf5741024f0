"""The clock of the simulated exchange, and what is due when."""

import asyncio
import heapq
import time
from collections.abc import Callable


class Clock:
    """Microseconds since the epoch that never step: the monotonic clock, anchored once."""

    def __init__(self) -> None:
        self._anchor_us = (time.time_ns() - time.monotonic_ns()) // 1_000

    def now_us(self) -> int:
        """The present instant."""
        return self._anchor_us + time.monotonic_ns() // 1_000


class Agenda:
    """What is to happen at planned instants, strictly in that order (an event loop's timers are coarser)."""

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def at(self, due_us: int, action: Callable[[int], None]) -> None:
        """Plan an action; it is told the instant planned."""
        self._count += 1
        heapq.heappush(self._heap, (due_us, self._count, action))
        if self._heap[0][1] == self._count:
            self._wake_later()

    def catch_up(self, now_us: int) -> None:
        """Do all that is due."""
        while self._heap and self._heap[0][0] <= now_us:
            due_us, _, action = heapq.heappop(self._heap)
            action(due_us)

    def _wake_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            wait_us = max(0, self._heap[0][0] - self._clock.now_us())
            self._timer = self._loop.call_later(wait_us / 1e6, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self.catch_up(self._clock.now_us())
        self._wake_later()
