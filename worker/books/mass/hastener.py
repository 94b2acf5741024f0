"""Has a mass cancel on hold listed as soon as the private channel tells of an order: it triggers, the list judges."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.orders import OPEN
from bulk_cancel.worker.state.loop import Loop

NONE_S: Final = 1.0
"""A user whose book nobody holds is not asked about again before; until then listings are often enough."""

_PAUSE_S: Final = 60.0


class Hastener(Loop):
    """Pulls listings forward; what is lost here is found by the next one, a moment later."""

    def __init__(self, masses: Masses, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("hastener", pause_s=_PAUSE_S)
        self._masses = masses
        self._clock = clock
        self._told: set[str] = set()
        self._quiet_until: dict[str, float] = {}

    def saw(self, uid: str, rows: Sequence[Row]) -> None:
        """The exchange pushed these orders, or algo orders; returns at once."""
        if any(row.get("state") in OPEN for row in rows):
            self.missed(uid)

    def missed(self, uid: str) -> None:
        """Some may have been pushed that nobody heard of; returns at once."""
        if self._clock() >= self._quiet_until.get(uid, 0.0):
            self._told.add(uid)
            self.wake()

    def round(self) -> None:
        """Whatever holds the books of those users is due."""
        while self._told:
            uid = self._told.pop()
            if not self._masses.hasten(uid):
                self._quiet_until[uid] = self._clock() + NONE_S
