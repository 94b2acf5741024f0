"""Countdowns of `cancel-all-after`, one per user and tag, which cancel all orders of a user.

Pure: the caller names the time (integer µs).
"""

from collections.abc import Iterator
from typing import NamedTuple


class Fired(NamedTuple):
    """A countdown that ended: the user's orders of that tag (empty: all of them) go."""

    at_us: int
    uid: str
    tag: str


class Switches:
    """The countdowns that are on; each call for a user and tag replaces the one before."""

    def __init__(self) -> None:
        self._due: dict[tuple[str, str], int] = {}

    def arm(self, uid: str, tag: str, due_us: int) -> None:
        """Count down to that instant."""
        self._due[uid, tag] = due_us

    def disarm(self, uid: str, tag: str) -> None:
        """No countdown any more."""
        self._due.pop((uid, tag), None)

    @property
    def next_us(self) -> int | None:
        """When the first of them ends; None if none is on."""
        return min(self._due.values(), default=None)

    def fire(self, now_us: int) -> Iterator[Fired]:
        """Those that ended, in order of time; each is off afterwards."""
        fired = sorted(Fired(due_us, *whose) for whose, due_us in self._due.items() if due_us <= now_us)
        for each in fired:
            self.disarm(each.uid, each.tag)
        return iter(fired)

    def clear(self) -> None:
        """Forget all of them."""
        self._due.clear()
