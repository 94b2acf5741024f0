"""The exchange's limits: what a lane or a user may send in one window, and how many orders one request takes."""

import math
from dataclasses import dataclass, replace
from typing import Final, Self

BATCH_SIZE: Final = 20
"""Orders that the exchange takes in one `cancel-batch-orders` request."""

ALGO_LIMIT: Final = 20
"""Algo orders of a lane that may be cancelled in one window."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a lane may send in one window: `single` requests, and `batch` orders in batch requests."""

    single: int
    batch: int

    def scaled(self, share: float) -> Self:
        """The part of the limits that is ours, at least one request."""
        return type(self)(max(1, math.floor(self.single * share)), math.floor(self.batch * share))


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Reading calls in one window: `pending` and `history` for a user, `order` for a lane; `share` is our part."""

    pending: int = 60
    history: int = 40
    order: int = 60
    share: float = 1.0

    def scaled(self, share: float) -> Self:
        """The part of the limits that is ours, at least one call each."""
        ours = replace(self, share=share)
        pending, history, order = map(ours.part_of, (self.pending, self.history, self.order))
        return type(self)(pending, history, order, share)

    def part_of(self, limit: int) -> int:
        """Our part of a limit that no setting names: those of what else can place orders."""
        return max(1, math.floor(limit * self.share))
