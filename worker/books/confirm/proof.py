"""What the book proves about an order whose cancel was answered. Pure.

An order is off the book only when the exchange itself says how it ended. That it is missing from the open orders
only says whose ending is worth asking for; that the exchange does not know it proves something only where the id
cannot be on its way in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.statuses import Status

SEND_AGAIN_AFTER_S: Final = 0.5
SEND_AGAIN_CAP_S: Final = 16.0
"""An order still open so long after its cancel was answered is cancelled again: sooner, the cancel may be at work.

Twice as long each time, up to the cap: a matching engine may be slow for many seconds. Only deadlines bound how often.
"""

LOOK_AGAIN_AFTER_S: Final = 2.0
"""An order that the exchange does not know is asked for once more so long after it was first unknown."""

_MAX_DOUBLINGS: Final = 10
"""Beyond any cap, and still a small number."""

OPEN: Final = frozenset({"live", "partially_filled"})
_ENDED: Final = {"canceled": Status.CANCELED, "mmp_canceled": Status.CANCELED, "filled": Status.FILLED}
"""The exchange's words for it."""


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A job whose cancel was answered `since_s` ago; `believed` is the `Status` that its answer spoke of.

    `ord_id` is the exchange's id where the answer told it, `looks` how often the exchange did not know the order,
    `unknown_s` how long ago that was first so, `again` how often it was found on the book after a cancel that was
    answered.
    """

    id: str
    generation: int
    believed: str
    since_s: float
    ord_id: str = ""
    looks: int = 0
    again: int = 0
    unknown_s: float = 0.0

    @property
    def order(self) -> JobId:
        """The order."""
        return JobId.parse(self.id)

    @property
    def exchange_id(self) -> str:
        """The ordId; "" for a client id whose order the cancel's answer did not name."""
        return self.order.ord_id or self.ord_id


@dataclass(frozen=True, slots=True)
class Finding:
    """What follows for one job: it ends with `status`, is cancelled `again`, or `stay`s to be looked at again.

    `filled` is how much of it was filled, as the exchange writes it; empty if that is not known.
    """

    job: Unconfirmed
    act: Literal["end", "again", "stay"]
    status: str = ""
    message: str = ""
    filled: str = ""
    looks: int = 0


def seen_open(job: Unconfirmed) -> Finding:
    """It is on the book, in a reading that began after its cancel was answered: so the exchange knows it."""
    if job.since_s < min(SEND_AGAIN_CAP_S, SEND_AGAIN_AFTER_S * 2 ** min(job.again, _MAX_DOUBLINGS)):
        return Finding(job, "stay")
    if job.believed == Status.EXHAUSTED:
        return Finding(job, "end", Status.EXHAUSTED, "attempts used up, and it is still live on the book")
    accepted = job.believed == Status.ACCEPTED
    said = "its cancel was accepted" if accepted else "the exchange said there was nothing to cancel"
    return Finding(job, "again", message=f"still live on the book although {said}")


def seen_as(job: Unconfirmed, row: Mapping[str, str]) -> Finding:
    """The exchange told how it stands, or (no row) that it knows no such order."""
    if not row:
        return _unknown(job)
    state = row.get("state", "")
    if state in _ENDED and _may_be_another(job):
        return Finding(job, "stay", looks=job.looks)
    if status := _ENDED.get(state):
        return Finding(job, "end", status, filled=row.get("accFillSz", ""))
    return seen_open(job) if state in OPEN else Finding(job, "stay", looks=job.looks)


def _may_be_another(job: Unconfirmed) -> bool:
    """A client id for which there was nothing to cancel may have named an older order, with its own on the way in."""
    return not job.exchange_id and job.believed != Status.ACCEPTED and job.since_s < LOOK_AGAIN_AFTER_S


def overdue(job: Unconfirmed, why: str) -> Finding:
    """The time for confirming is used up."""
    words: dict[str, str] = {Status.ACCEPTED: "its cancel was accepted", Status.GONE: "the exchange said it is gone"}
    said = words.get(job.believed, "attempts used up")
    return Finding(job, "end", Status.EXHAUSTED, f"{said}, but the book could not confirm it in time: {why}")


def _unknown(job: Unconfirmed) -> Finding:
    """What the exchange does not know is gone only if it still does not know it a while later.

    An order may be on its way in, it was there just now if its cancel was accepted, and an exchange may not see its own
    book for a few seconds.
    """
    if job.looks == 0 or job.unknown_s < LOOK_AGAIN_AFTER_S:
        return Finding(job, "stay", looks=1)
    return Finding(job, "end", Status.GONE)
