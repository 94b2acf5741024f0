"""What a producer is told of his orders: a batch as it stands, each order of it, and endings as they come.

Frozen values. Nothing here imports `worker`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple


class Status(StrEnum):
    """What a job may be. An accepted one waits for the book's word; with `CONFIRM=off` that is its outcome."""

    QUEUED = "queued"
    SENDING = "sending"
    RETRYING = "retrying"
    ACCEPTED = "accepted"
    CANCELED = "canceled"
    FILLED = "filled"
    GONE = "gone"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    WITHDRAWN = "withdrawn"


OFF_THE_BOOK: Final = (Status.CANCELED, Status.FILLED, Status.GONE)
"""The exchange has nothing left to cancel."""

DEAD: Final = (Status.REJECTED, Status.EXHAUSTED)
"""Nothing more is done, and the order may still be live."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """One batch as it stands; `counts` has the ended orders by outcome, `waiting` those without one."""

    batch_id: str
    account: str
    size: int
    waiting: int
    sealed: bool
    urgent: bool
    counts: Mapping[str, int]
    created_at: datetime
    deadline_at: datetime
    completed_at: datetime | None
    reason: str
    requested_by: str
    labels: Mapping[str, str]
    mass: bool = False
    """It is a mass cancel's: it grows until it is sealed."""
    hold: bool = False
    """It is a mass cancel's that takes whatever comes, until an operator releases it, which seals it."""
    refused: int = 0
    """Rows of the batch that could not be admitted; they are in the stream `refused`."""
    partly_filled: int = 0
    """Orders that ended otherwise than `filled`, but some of them was filled before; older workers did not count it."""
    never_known: int = 0
    """Of those that are `gone`, the orders that the exchange never knew: their ids may be wrong, see `Row.known`."""

    @property
    def complete(self) -> bool:
        """Every order that was handed in has its outcome."""
        return self.sealed and self.waiting == 0

    @property
    def dead(self) -> int:
        """Orders that may still be live although nothing more is done: rejected, exhausted, or refused at the door."""
        return self.refused + sum(self.counts.get(status, 0) for status in DEAD)


class Row(NamedTuple):
    """One order of a batch, in the words of the contract; times in µs since the epoch, None where not (yet) so.

    A named tuple, which costs a quarter of a frozen dataclass: a batch may have 100,000 of them.
    """

    batch_id: str
    account: str
    instId: str
    ordId: str | None
    clOrdId: str | None
    status: str
    sCode: str | None
    sMsg: str | None
    attempts: int
    enqueued_at: int
    first_sent_at: int | None
    accepted_at: int | None
    finished_at: int | None
    number: int
    """Its number in the batch, from 0."""
    log: tuple[Mapping[str, object], ...]
    accFillSz: str | None = None
    """What of the order was filled, in its own unit; "0" if nothing, None if that is not known."""
    known: bool | None = None
    """Of one that is `gone`, whether the exchange ever knew it: it took a cancel of it, or listed it. False: it was
    unknown from the first, so it ended long ago, or the id is rounded, or another account's. None: it is not gone."""
    algoId: str | None = None
    """Of an algo order, which has no ordId."""
    children: tuple[Mapping[str, str], ...] = ()
    """Of an algo order that fired before its cancel came, what it has placed: `instId` and `ordId`, or `algoId`."""

    @property
    def partly_filled(self) -> bool:
        """It ended otherwise, but some of it was filled before."""
        return self.status != Status.FILLED and (self.accFillSz or "").strip("0.") != ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One ending, as it stands in the stream `outcomes`: of the `generation`-th effort to cancel an order.

    `position` is its place in the stream: what came after it is asked for with it. The same `order` and `generation`
    may come twice, under two positions, after a failover of Redis.
    """

    position: str
    order: str
    """`uid/instId/o<ordId>`, or `…/c<clOrdId>`."""
    uid: str
    instId: str
    ordId: str | None
    clOrdId: str | None
    account: str
    generation: int
    status: str
    sCode: str | None
    sMsg: str | None
    attempts: int
    finished_at: int
    """µs since the epoch."""
    batches: tuple[str, ...]
    accFillSz: str | None
    """What of the order was filled; "0" if nothing, None if that is not known."""
    known: bool | None = None
    """As `Row.known`."""
    algoId: str | None = None
    """Of an algo order, which has no ordId; `order` begins with `uid:algo/` then."""
    children: tuple[Mapping[str, str], ...] = ()
    """As `Row.children`."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Orders `withdrawn` by this call, `sent` already (too late), and `ended` before; the batch `state` afterwards."""

    withdrawn: int
    sent: int
    ended: int
    state: BatchState


@dataclass(frozen=True, slots=True)
class Retried:
    """Orders that wait again: `opened` anew, `joined` another batch's effort; `remembered`: off the book already."""

    opened: int
    joined: int
    remembered: int
    state: BatchState

    @property
    def changed(self) -> int:
        """Orders whose row changed."""
        return self.opened + self.joined + self.remembered
