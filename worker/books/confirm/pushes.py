"""What the exchange pushes of our orders: heard on the threads of the channels, written down on a thread of its own."""

import queue
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.books.confirm.confirmations import Confirmations, report_written
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.state.loop import Loop

log = structlog.get_logger(__name__)

_QUEUED: Final = 100_000
_PAUSE_S: Final = 1.0
GATHERED_S: Final = 0.03
"""A push waits so long for others: what is told of many orders at once costs half as much, in Redis as well."""


class Pushes(Loop):
    """Writes down pushes, as many at a time as have come. What is lost here is found by the next look."""

    def __init__(self, confirmations: Confirmations) -> None:
        super().__init__("pushes", pause_s=_PAUSE_S)
        self._confirmations = confirmations
        self._queue: queue.Queue[tuple[str, Sequence[Row]] | None] = queue.Queue(_QUEUED)

    def saw(self, uid: str, rows: Sequence[Row]) -> None:
        """The exchange pushed these orders; returns at once."""
        try:
            self._queue.put_nowait((uid, rows))
        except queue.Full:
            log.warning("pushes_dropped", uid=uid)

    def missed(self, uid: str) -> None:
        """Pushes may have been missed: the book is looked at now."""
        try:
            self._confirmations.sooner(uid)
        except RedisError as error:
            log.warning("look_not_hastened", uid=uid, error=str(error))

    def stop(self) -> None:
        """The present round is the last one, be it one that waits."""
        super().stop()
        if not self._queue.full():
            self._queue.put_nowait(None)

    def round(self) -> float:
        """Waits for a push, and writes down all that are there a moment later."""
        together: dict[str, list[Row]] = defaultdict(list)
        pushed = self._queue.get()
        self._stopping.wait(GATHERED_S)
        while pushed is not None:
            together[pushed[0]].extend(pushed[1])
            pushed = None if self._queue.empty() else self._queue.get()
        for uid, rows in together.items():
            self._write(uid, rows)
        return 0.0

    def _write(self, uid: str, rows: Sequence[Row]) -> None:
        try:
            report_written(self._confirmations.pushed(uid, rows))
        except RedisError as error:
            log.warning("pushes_lost", uid=uid, error=str(error))
        except Exception:
            log.exception("pushes_failed", uid=uid)
