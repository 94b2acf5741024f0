"""What the book proves about an order whose cancel was answered. Pure.

An order is off the book only when the exchange itself says how it ended. That it is missing from the open orders
only says whose ending is worth asking for; that the exchange does not know it proves something only where the id
cannot be on its way in. A client id may have been used again: the order that is meant was placed before the id was
handed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Literal

from bulk_cancel.worker.config.users import ALGOS, owner_of
from bulk_cancel.worker.okx.orders import OPEN
from bulk_cancel.worker.okx.sources import children_of
from bulk_cancel.worker.okx.span import Span
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.statuses import Status

SEND_AGAIN_AFTER_S: Final = 0.5
SEND_AGAIN_CAP_S: Final = 16.0
"""An order still open so long after its cancel was answered is cancelled again: sooner, the cancel may be at work.

Twice as long each time, up to the cap: a matching engine may be slow for many seconds. Only deadlines bound how often.
"""

LOOK_AGAIN_AFTER_S: Final = 2.0
"""An order that the exchange does not know is asked for once more so long after it was first unknown."""

DRIFT: Final = 0.0005
"""How much faster or slower than the exchange's clock Redis's may run: as much as NTP slews."""

_MAX_DOUBLINGS: Final = 10
"""Beyond any cap, and still a small number."""

_ENDED: Final = {
    "canceled": Status.CANCELED, "mmp_canceled": Status.CANCELED, "filled": Status.FILLED, "fired": Status.GONE,
}  # fmt: skip
"""The exchange's words for it; `fired` is ours, of an algo order that placed its order before the cancel came."""

_NAMED: Final = 5
"""Children that a message names; all of them stand beside it."""

FIRED: Final = "it fired before it could be cancelled; what it placed is an order of its own"


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A job whose cancel was answered `since_s` ago; `believed` is the `Status` that its answer spoke of.

    `ord_id` is the exchange's id where the answer told it, `looks` how often the exchange did not know the order,
    `unknown_s` how long ago that was first so, `again` how often it was found on the book after a cancel that was
    answered. It was handed in `asked_s` ago; `handed_in` is when that was by the exchange's clock, where that counts.
    `batches` wait for it.
    """

    id: str
    generation: int
    believed: str
    since_s: float
    ord_id: str = ""
    looks: int = 0
    again: int = 0
    unknown_s: float = 0.0
    asked_s: float = 0.0
    handed_in: Span | None = None
    batches: tuple[str, ...] = ()

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

    `filled` is how much of it was filled, as the exchange writes it; empty if that is not known. `known`: the exchange
    showed it open, or told that it fired. `children`: what a fired one placed, as ids of jobs.
    """

    job: Unconfirmed
    act: Literal["end", "again", "stay"]
    status: str = ""
    message: str = ""
    filled: str = ""
    looks: int = 0
    known: bool = False
    children: tuple[str, ...] = ()


class Placed(Enum):
    """Whether the order that a client id names now was placed before or after the id was asked to be cancelled."""

    BEFORE = "before"
    AFTER = "after"
    UNCLEAR = "unclear"


def placed(job: Unconfirmed, row: Mapping[str, str]) -> Placed:
    """When the order of the row was placed; one named by its ordId is always the one that is meant."""
    if job.exchange_id:
        return Placed.BEFORE
    at = _ms(row, "cTime")
    if job.handed_in is None or at is None:
        return Placed.UNCLEAR
    if at + 1 <= job.handed_in.earliest_ms:  # it is told in whole ms
        return Placed.BEFORE
    return Placed.AFTER if at > job.handed_in.latest_ms else Placed.UNCLEAR


def _ms(row: Mapping[str, str], name: str) -> int | None:
    told = row.get(name, "")
    return int(told) if told.isascii() and told.isdigit() else None


def seen_open(job: Unconfirmed, row: Mapping[str, str]) -> Finding:
    """It is on the book, in a reading that began after its cancel was answered: so the exchange knows it."""
    match placed(job, row):
        case Placed.AFTER:
            return _another(job, row)
        case Placed.UNCLEAR:
            return Finding(job, "end", Status.EXHAUSTED, _UNCLEAR.format(row.get("ordId")))
    return replace(_still_open(_named(job, row)), known=True)


_ANOTHER: Final = "its client id names order {} now, which was placed after this was handed in and was not touched"
_UNCLEAR: Final = (
    "its client id names order {}, placed at about the time when this was handed in: whether it is meant cannot "
    "be told, so it was not touched; hand it in by its ordId"
)


def _another(job: Unconfirmed, row: Mapping[str, str]) -> Finding:
    """No two pending orders have one client id: when this one was placed, the one that is meant was off the book."""
    return Finding(job, "end", Status.GONE, _ANOTHER.format(row.get("ordId")))


def _named(job: Unconfirmed, row: Mapping[str, str]) -> Unconfirmed:
    return job if job.exchange_id else replace(job, ord_id=row.get("ordId", ""))


def _still_open(job: Unconfirmed) -> Finding:
    if job.believed == Status.RETRYING:
        return Finding(job, "again", message=f"its client id names order {job.exchange_id}, which is meant")
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
    if placed(job, row) is Placed.AFTER:
        return _another(job, row)
    if state in _ENDED and _may_be_older(job, row):
        return Finding(job, "stay", looks=job.looks)
    if status := _ENDED.get(state):
        found = Finding(_named(job, row), "end", status, filled=row.get("accFillSz", ""))
        return _fired(found, row) if status == Status.GONE else found
    return seen_open(job, row) if state in OPEN else Finding(job, "stay", looks=job.looks)


def _fired(found: Finding, row: Mapping[str, str]) -> Finding:
    """The exchange told its state, so its id is no wrong one; and it names what it has placed."""
    order, (orders, algos) = found.job.order, children_of(row)
    owner, inst_id = owner_of(order.uid), order.inst_id
    children = [JobId(owner, inst_id, ident, None) for ident in orders]
    children += [JobId(owner + ALGOS, inst_id, ident, None) for ident in algos]
    told = [*(f"ordId {ident}" for ident in orders), *(f"algoId {ident}" for ident in algos)]
    message = f"{FIRED}: {', '.join(told[:_NAMED])}" if told else FIRED
    return replace(found, message=message, known=True, children=tuple(map(str, children)))


def pushed_as(state: str) -> Status | None:
    """How an order has ended whose state the exchange pushed, named by its ordId; None if it has not."""
    status = _ENDED.get(state)
    return None if status == Status.GONE else status


def _may_be_older(job: Unconfirmed, row: Mapping[str, str]) -> bool:
    """A client id whose cancel was not accepted may name an older order, while the one that is meant is not seen."""
    if job.exchange_id or job.believed == Status.ACCEPTED or job.since_s >= LOOK_AGAIN_AFTER_S:
        return False
    ended_ms = _ms(row, "uTime")
    return job.handed_in is None or ended_ms is None or ended_ms <= job.handed_in.latest_ms


def overdue(job: Unconfirmed, why: str) -> Finding:
    """The time for confirming is used up."""
    words: dict[str, str] = {Status.ACCEPTED: "its cancel was accepted", Status.GONE: "the exchange said it is gone"}
    words[Status.RETRYING] = "what became of its last cancel is not known"
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
