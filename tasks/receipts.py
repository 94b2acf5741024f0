"""What a producer is told when its work was taken: every order of it is in Redis by then."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch at the door.

    `size` orders, of which `new` opened a job, `joined` one that was live already, `remembered` were known to be off
    the book, and `known` were in the batch from an earlier call; `repeated` came more than once in this one.
    `earliest_done_at` is when the exchange's limits allow the last of them to be sent; of those in `paused` (scopes
    `user:<uid>`, `lane:<lane>`) nothing is sent before somebody resumes them.
    """

    batch_id: str
    account: str
    size: int
    lanes: int
    new: int
    joined: int
    remembered: int
    known: int
    repeated: int
    sealed: bool
    waiting: int
    created_at: datetime
    earliest_done_at: datetime
    paused: tuple[str, ...] = ()

    @property
    def duplicates(self) -> int:
        """Orders that needed no job of their own."""
        return self.joined + self.remembered + self.repeated


@dataclass(frozen=True, slots=True)
class MassReceipt:
    """One mass cancel that was taken, of one User ID `uid`; its batch has the id `batch_id`, and `scope` its filters.

    `state` is `running` until it is over; of one that was given again it says how it stands, and `flat_at` since when
    nothing in its scope is on the book.
    """

    batch_id: str
    account: str
    uid: str
    scope: Mapping[str, object]
    until_flat_s: float
    urgent: bool
    state: str
    started_at: datetime
    deadline_at: datetime
    flat_at: datetime | None = None
    ended_at: datetime | None = None
    hold: bool = False
    """It goes on until an operator lets go."""

    @property
    def ended(self) -> bool:
        """Nothing is listed any more."""
        return self.ended_at is not None
