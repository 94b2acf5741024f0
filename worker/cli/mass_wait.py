"""Mass cancels that `all` waits for: read again and again, on all shards at once, until nothing of them will change."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli.screen.mass import Progress
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.shards import Each, Shard
from bulk_cancel.worker.state.store import Store

FRAME_S: Final = 0.15

SILENT_S: Final = 5.0
"""A shard that falls silent is waited for so long: a failover, or one lost packet, is not its end."""

Read = list[tuple[Mass, BatchState, bool]]
"""How each stands, and whether that is its end."""


class Following:
    """These mass cancels, by shard; a shard that does not answer keeps nobody from waiting for the others."""

    def __init__(self, whole: Whole, taken: Each[list[Mass]]) -> None:
        self._whole = whole
        self._ids = Each({name: [mass.batch_id for mass in each] for name, each in taken.answers.items() if each}, {})
        self._last: dict[str, Read] = {}
        self.failed: Mapping[str, Exception] = {}
        """The shards that did not answer the last time."""
        self._silent_since: dict[str, float] = {}

    def progress(self, timeout_s: float | None) -> Iterator[Progress]:
        """How all stand, again and again until those that can be read are over, or it took too long."""
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            told = self._whole.then(self._ids, _read)
            self._hear(told)
            if self._last:
                yield [(mass, state) for read in self._last.values() for mass, state, _ in read]
            left_s = FRAME_S if ends is None else ends - time.monotonic()
            if left_s <= 0 or not (self.left or self._may_come_back):
                return
            time.sleep(min(FRAME_S, left_s))

    @property
    def left(self) -> dict[str, list[Mass]]:
        """Those that are waited for, of shards that answer."""
        return {name: each for name, each in self._not_over().items() if name not in self.failed}

    @property
    def _may_come_back(self) -> bool:
        """Whether a shard whose mass cancels were not over fell silent just now."""
        since = time.monotonic() - SILENT_S
        return any(began > since for name, began in self._silent_since.items() if name in self._not_over())

    def _hear(self, told: Each[Read]) -> None:
        self._last.update(told.answers)
        self.failed = told.failed
        now = time.monotonic()
        self._silent_since = {name: self._silent_since.get(name, now) for name in told.failed}

    def _not_over(self) -> dict[str, list[Mass]]:
        found = {name: [mass for mass, _, over in read if not over] for name, read in self._last.items()}
        return {name: each for name, each in found.items() if each}


def _read(shard: Shard, batch_ids: Sequence[str]) -> Read:
    masses, read = Masses(shard.store), []
    for each in batch_ids:
        mass, state = masses.state(each), shard.store.batches.state(each)
        read.append((mass, state, _settled(shard.store, mass, state)))
    return read


def _settled(store: Store, mass: Mass, state: BatchState) -> bool:
    """Nothing more will change; of one on hold: it is flat and surveyed, or should have been flat by now.

    After the last outcome comes the survey of what else can place orders.
    """
    if mass.on_hold:
        flat = mass.flat and not state.waiting and mass.survey is not None
        return flat or datetime.now(UTC) > mass.deadline_at
    return state.complete and not Masses(store).awaits_survey(mass, state)
