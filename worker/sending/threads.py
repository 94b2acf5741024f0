"""The threads that make the calls, of one queue. An executor, which makes a future of each, costs a tenth of a call."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")


class ThreadPool(Generic[T]):
    """`size` threads that do `work` with whatever is handed to them, in that order; what it raises ends no thread."""

    def __init__(self, size: int, work: Callable[[T], None], *, name: str) -> None:
        self._work = work
        self._waiting: SimpleQueue[T | None] = SimpleQueue()
        self._threads = [Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(size)]
        for thread in self._threads:
            thread.start()

    def hand(self, each: T) -> None:
        """To the next thread that is free; returns at once."""
        self._waiting.put(each)

    def dismiss(self) -> None:
        """The threads end when they have done what was handed to them before."""
        for _ in self._threads:
            self._waiting.put(None)

    def _run(self) -> None:
        while (each := self._waiting.get()) is not None:
            try:
                self._work(each)
            except Exception:
                log.exception("work_failed")
