"""The threads that conclude calls, of one queue. An executor, which makes a future of each, costs a tenth of a call."""

from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from time import sleep
from typing import Final, Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

AT_ONCE: Final = 64
"""What one thread takes together; with more, the next one begins before it has done."""

GATHER_S: Final = 0.003
"""What comes within so short a time is done together: a record of many calls costs little more than one of few."""


class ThreadPool(Generic[T]):
    """`size` threads that do `work` with all that has been handed to them meanwhile, in that order.

    Answers come in bursts: a thread is called for the first one, and takes those that came before it runs. It waits
    `GATHER_S` for more while more than wait are `expected`, which counts those that wait; a lone one is done at once.
    What `work` raises ends no thread.
    """

    def __init__(
        self, size: int, work: Callable[[Sequence[T]], None], *, name: str, expected: Callable[[], int] = lambda: 0
    ) -> None:
        self._work = work
        self._expected = expected
        self._waiting: deque[T] = deque()
        self._calls: SimpleQueue[str | None] = SimpleQueue()
        self._called = False
        self._threads = [Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(size)]
        for thread in self._threads:
            thread.start()

    def hand(self, each: T) -> None:
        """To the next thread that is free; returns at once."""
        self._waiting.append(each)
        self._call()

    def dismiss(self) -> None:
        """The threads end when they have done what was handed to them before."""
        for _ in self._threads:
            self._calls.put(None)

    def _call(self) -> None:
        """A thread that was called and does not run yet is enough: what is there by then is its own."""
        if not self._called:
            self._called = True
            self._calls.put("work")

    def _run(self) -> None:
        while self._calls.get() is not None:
            self._gather()
            self._called = False  # before it takes: what is handed from now on calls a thread
            try:
                if taken := self._take():
                    self._work(taken)
            except Exception:
                log.exception("work_failed")

    def _gather(self) -> None:
        if len(self._waiting) < min(AT_ONCE, self._expected()):
            sleep(GATHER_S)

    def _take(self) -> Sequence[T]:
        taken: list[T] = []
        try:
            while len(taken) < AT_ONCE:
                taken.append(self._waiting.popleft())
        except IndexError:
            return taken
        if self._waiting:
            self._call()
        return taken
