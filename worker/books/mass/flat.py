"""Decides when a mass cancel is done, from what its listings have seen. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self

from bulk_cancel.worker.books.mass.scope import UNREADABLE
from bulk_cancel.worker.state.window import reading_pause_s

SOON_S: Final = 0.2

PER_ALGO_CALL_S: Final = 0.2
"""Twice what one takes at the exchange's rate for these lists, 20 calls in 2 s: the rest is for listings that a push
calls for, or the end of the last order."""

ALGOS_S: Final = 1.0
"""The longest of such pauses: new orders wait for the next listing, too."""

TROUBLE_S: Final = 0.5
"""A list that could not be read is asked for again after this."""

State = Literal["running", "done", "flat", "not flat", "not read", "withdrawn", "released"]
"""`done`: one complete listing was asked for, and made. `flat`: nothing in scope for so long.
`not flat`, `not read`: the deadline passed before the scope stayed empty, or before one listing was complete.
`withdrawn`: an operator ended it. `released`: it was on hold, until an operator let go."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One complete listing: when it began, how many open orders were meant, how many were not and why, and its calls.

    `at_us` is on Redis's own clock, `wall_us` on its wall clock. Of `calls`, `algo_calls` listed algo orders.
    `trouble`: which products beside could not be listed, and why; there may be some. At `earliest_us` (wall) the limits
    allow the last order that it found to be sent; 0: it found none.
    """

    at_us: int
    wall_us: int
    matching: int = 0
    calls: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    algo_calls: int = 0
    trouble: str = ""
    earliest_us: int = 0

    @property
    def pause_s(self) -> float:
        """How long to wait after it, unless there is a reason to list sooner."""
        algos_s = min(ALGOS_S, self.algo_calls * PER_ALGO_CALL_S)
        return max(pause_s(self.calls - self.algo_calls), algos_s, TROUBLE_S if self.trouble else 0.0)

    @property
    def soonest_s(self) -> float:
        """How long to wait at least; of algo orders only their lists' own window bounds it."""
        return reading_pause_s(self.calls - self.algo_calls, least_s=0.0)

    def again(self, later: Self) -> Self:
        """This and a later reading as one: nothing was open in it only if nothing was in either."""
        unreadable = max(self.left_out.get(UNREADABLE, 0), later.left_out.get(UNREADABLE, 0))
        return replace(
            later,
            at_us=self.at_us,
            wall_us=self.wall_us,
            matching=max(self.matching, later.matching),
            left_out={**later.left_out, UNREADABLE: unreadable} if unreadable else later.left_out,
            calls=self.calls + later.calls,
            algo_calls=self.algo_calls + later.algo_calls,
            earliest_us=max(self.earliest_us, later.earliest_us),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows: the new state, since when the scope is empty (None: it is not), seconds until the next listing.

    `flat`: it has been empty for as long as was asked; one that holds runs on.
    """

    state: State
    flat_since_us: int | None
    flat_wall_us: int | None
    next_s: float = 0.0
    flat: bool = False

    @property
    def ended(self) -> bool:
        """No listing follows."""
        return self.state != "running"


def judge(
    seen: Seen,
    *,
    until_flat_s: float,
    flat_since_us: int | None,
    flat_wall_us: int | None,
    hold: bool = False,
    leaves_orders: bool = False,
    waiting: int = 0,
) -> Verdict:
    """After a complete listing; `flat_since_us` and `flat_wall_us` are what the verdict before said.

    One on `hold` is never over by itself, and flat with its first empty listing unless it is to be empty for longer.
    `leaves_orders`: what is cancelled may leave new orders, as algo orders that fire do, so one listing is not enough,
    and none counts that began before the last one's end was known.

    `waiting`: orders of its own of which it is not known that they ended; before that is known nothing is called flat.

    The scope was empty when an empty listing began: whatever was open then and stayed so would have been in it.
    """
    found = seen.matching or seen.left_out.get(UNREADABLE) or seen.trouble or (leaves_orders and waiting)
    if not until_flat_s and not hold and not (leaves_orders and found):
        return Verdict("done", None, None)
    if found:
        return Verdict("running", None, None, seen.pause_s)
    since = seen.at_us if flat_since_us is None else flat_since_us
    wall = seen.wall_us if flat_wall_us is None else flat_wall_us
    left_s = until_flat_s - (seen.at_us - since) / 1e6
    if left_s <= 0 and waiting:
        return Verdict("running", since, wall, seen.pause_s)
    if left_s <= 0:
        return Verdict("running" if hold else "flat", since, wall, seen.pause_s if hold else 0.0, flat=True)
    return Verdict("running", since, wall, min(seen.pause_s, left_s))


def too_late(*, listings: int) -> State:
    """What a mass cancel is called whose deadline passed, after so many complete listings."""
    return "not flat" if listings else "not read"


def pause_s(calls: int) -> float:
    """How long to wait after a listing of so many calls."""
    return reading_pause_s(calls, least_s=SOON_S)
