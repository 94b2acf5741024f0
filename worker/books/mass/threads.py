"""Takes mass cancels up by their ids, each on a thread of its own: one worker's part in what all of them need."""

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final

from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.config.gate import Gate

UNREADY_S: Final = 1.0
"""Another worker may know by then who the account is, or this one."""


class MassThreads(ABC):
    """`at_once` of them at the same time, on threads called `name`; `lease_s`: how long each belongs to this worker."""

    def __init__(
        self, masses: Masses, book: Book, gate: Gate, stopping: Event, *, lease_s: float, at_once: int, name: str
    ) -> None:
        self._masses = masses
        self._book = book
        self._gate = gate
        self._stopping = stopping
        self._lease_s = lease_s
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix=name)

    def take_up(self, batch_id: str) -> None:
        """Does what is due for this mass cancel, on a thread of its own."""
        if not self._stopping.is_set():
            self._pool.submit(self._begin, batch_id)

    def stop(self) -> None:
        """Those that are on end after their present calls; `stopping` has been set."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @abstractmethod
    def _begin(self, batch_id: str) -> None:
        """What is done, if no other worker does it; whatever it raises is logged there."""
