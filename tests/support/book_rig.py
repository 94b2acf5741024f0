"""What do tests of looks stand on? A book of the test's own, read for the jobs of a `LaneRig`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING, cast

from bulk_cancel.worker.books.confirm.confirmer import Confirmer
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.okx.errors import OutcomeUnknown
from bulk_cancel.worker.okx.orders import OrderRef
from tests.support.lane_rig import LaneRig

if TYPE_CHECKING:
    from bulk_cancel.worker.books.book import Book

CANCELED = {"state": "canceled", "accFillSz": "0"}
OPEN = {"instId": "BTC-USDT", "clOrdId": "x1", "state": "live", "accFillSz": "0"}


class FakeBook:
    """What is open, and what became of orders, is the test's to say."""

    def __init__(self, order: Callable[[OrderRef], Row] = lambda _: {}) -> None:
        self.down = False
        self.open: list[Row] = []
        self.history: Mapping[str, Sequence[Row]] = {}
        self.calls: list[str] = []
        self._order = order

    def open_orders(self, _user: User) -> Iterator[list[Row]]:
        """One page, unless the exchange is down."""
        self.calls.append("pending")
        if self.down:
            raise OutcomeUnknown("no answer")
        yield self.open

    def ended_orders(self, _user: User, of: Mapping[str, str], after: str) -> Sequence[Row]:
        """A page of what ended."""
        inst_type = " ".join(of.values())
        self.calls.append(inst_type)
        return [row for row in self.history.get(inst_type, ()) if int(row["ordId"]) < int(after)][:100]

    def order(self, _user: User, ref: OrderRef) -> Row:
        """One order."""
        self.calls.append("order")
        return self._order(ref)


def confirmer(
    rig: LaneRig, book: FakeBook, *, users: Mapping[str, User] | None = None, deadline_s: float = 300
) -> Confirmer:
    """Reads this book, for the rig's user unless told otherwise."""
    gate = Gate({"u1": rig.user} if users is None else users)
    book_ = cast("Book", book)
    return Confirmer(rig.confirmations, book_, gate, Event(), deadline_s=deadline_s, exchange_at=rig.exchange_at)


def look(rig: LaneRig, book: FakeBook, looks: Confirmer | None = None) -> Confirmer:
    """One look, to its end."""
    looks = looks or confirmer(rig, book)
    looks._gate.open("u1")
    looks.look("u1")
    looks._pool.shutdown()
    return looks
