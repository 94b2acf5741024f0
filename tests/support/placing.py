"""A trader who goes on placing orders while they are cancelled."""

import sys
from threading import Event, Thread
from typing import Self

from bulk_cancel.worker.simulator.client import ControlClient
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from tests.support.rig import Rig


class Placing:
    """Places an order every `every_s` from another thread, for the length of a block, or until there are `at_most`."""

    def __init__(
        self, rig: Rig, *, every_s: float, inst_ids: tuple[str, ...] = ("BTC-USDT",), at_most: int = sys.maxsize
    ) -> None:
        self._url = rig.exchange.url
        self._every_s = every_s
        self._inst_ids = inst_ids
        self._at_most = at_most
        self._stopping = Event()
        self._thread = Thread(target=self._run)
        self.placed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No further order; `placed` says how many there were."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        control = ControlClient(self._url)
        while self.placed < self._at_most and not self._stopping.wait(self._every_s):
            control.place(DEFAULT_KEY.uid, self._inst_ids[self.placed % len(self._inst_ids)], 1)
            self.placed += 1
        control.close()
