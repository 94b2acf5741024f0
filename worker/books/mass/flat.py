"""Decides when a mass cancel is done, from what its listings have seen. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from bulk_cancel.worker.books.mass.scope import UNREADABLE
from bulk_cancel.worker.state.window import reading_pause_s

SOON_S: Final = 0.2

State = Literal["running", "done", "flat", "not flat", "not read", "withdrawn"]
"""`done`: one complete listing was asked for, and made. `flat`: nothing in scope for so long.
`not flat`, `not read`: the deadline passed before the scope stayed empty, or before one listing was complete.
`withdrawn`: an operator ended it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One complete listing: when it began, how many open orders were meant, how many were not and why, and its calls.

    `at_us` is on Redis's own clock, `wall_us` on its wall clock.
    """

    at_us: int
    wall_us: int
    matching: int = 0
    calls: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows: the new state, since when the scope is empty (None: it is not), seconds until the next listing."""

    state: State
    flat_since_us: int | None
    flat_wall_us: int | None
    next_s: float = 0.0

    @property
    def ended(self) -> bool:
        """No listing follows."""
        return self.state != "running"


def judge(seen: Seen, *, until_flat_s: float, flat_since_us: int | None, flat_wall_us: int | None) -> Verdict:
    """After a complete listing; `flat_since_us` and `flat_wall_us` are what the verdict before said.

    The scope was empty when an empty listing began: whatever was open then and stayed so would have been in it.
    """
    if not until_flat_s:
        return Verdict("done", None, None)
    if seen.matching or seen.left_out.get(UNREADABLE):
        return Verdict("running", None, None, pause_s(seen.calls))
    since = seen.at_us if flat_since_us is None else flat_since_us
    wall = seen.wall_us if flat_wall_us is None else flat_wall_us
    left_s = until_flat_s - (seen.at_us - since) / 1e6
    if left_s <= 0:
        return Verdict("flat", since, wall)
    return Verdict("running", since, wall, min(pause_s(seen.calls), left_s))


def too_late(*, listings: int) -> State:
    """What a mass cancel is called whose deadline passed, after so many complete listings."""
    return "not flat" if listings else "not read"


def pause_s(calls: int) -> float:
    """How long to wait after a listing of so many calls."""
    return reading_pause_s(calls, least_s=SOON_S)
