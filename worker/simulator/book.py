"""The orders of the simulated exchange, and what a cancel does to one of them.

Pure: the caller names the time (integer µs) and seeds the dice.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from bulk_cancel.worker.simulator.instruments import Instrument
from bulk_cancel.worker.simulator.switches import Fired, Switches

OPEN = frozenset({"live", "partially_filled"})
USER, SWITCH = "1", "20"
"""Values of `cancelSource`."""
ON_CREDIT = frozenset({"cross", "isolated"})
"""Values of `tdMode` by which an order of a pair is a MARGIN order."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the book treats cancels.

    `cancel_lag_ms`: a cancel acknowledged now takes effect that much later; `repeat_sCode`: answer to cancels
    in between. `fill_rate`: share of acknowledged cancels beaten by a fill. `lie_rate`: share of orders whose
    first cancel is acknowledged and never happens. `forget_after_s`: cancelled, never filled orders are then
    unknown. `switch_scale`: how many seconds one second of `cancel-all-after` lasts. `shuffle_items`: a batch
    answer has its items in any order. `page_rows`: a page of orders has no more rows, whatever is asked for.
    `push_rows`: a push tells of so many changes, or of those of 2 ms.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    cancel_lag_ms: float = 0.0
    repeat_sCode: str = "0"
    fill_rate: float = 0.0
    lie_rate: float = 0.0
    forget_after_s: float = 7_200.0
    switch_scale: float = 1.0
    shuffle_items: bool = False
    page_rows: int = 100
    push_rows: int = 1


@dataclass(slots=True)
class Order:
    """One order; `ending` is the state that an acknowledged cancel will bring, `canceller` who then did it.

    `algoId` and `source` say which algo order placed it; `attached`: it has a TP/SL, whose `reduceOnly` that is.
    """

    number: int
    ordId: str
    clOrdId: str
    uid: str
    instrument: Instrument
    side: str = "buy"
    ordType: str = "limit"
    px: str = "1"
    sz: str = "1"
    tdMode: str = ""
    accFillSz: str = "0"
    state: str = "live"
    cTime_us: int = 0
    uTime_us: int = 0
    tag: str = ""
    cancelSource: str = ""
    canceller: str = USER
    algoId: str = ""
    source: str = ""
    attached: str = ""
    ending: str = ""
    lied: bool = False

    def __post_init__(self) -> None:
        if not self.tdMode:
            self.tdMode = "cross" if self.instrument.instFamily else "cash"

    @property
    def kind(self) -> str:
        """The instType that listings and pushes go by: an order of a pair on credit is a MARGIN order."""
        kind = self.instrument.instType
        return "MARGIN" if kind == "SPOT" and self.tdMode in ON_CREDIT else kind

    @property
    def open(self) -> bool:
        """Whether the order is on the book."""
        return self.state in OPEN


class Ref(NamedTuple):
    """How a request names an order; `ordId` wins, absent parts are empty."""

    instId: str
    ordId: str
    clOrdId: str


class Ack(NamedTuple):
    """The exchange's word on one cancel."""

    sCode: str
    sMsg: str
    order: Order | None


class Book:
    """All orders of all users, newest last; order numbers ascend.

    `tell` is called after each change of an order, then `ended` after its end.
    """

    def __init__(self, behaviour: Behaviour, dice: random.Random, *, first_number: int) -> None:
        self.behaviour = behaviour
        self.instruments: dict[str, Instrument] = {}
        self.orders: dict[str, Order] = {}
        self.live: dict[str, dict[str, Order]] = {}
        self.tell: Callable[[Order], None] = lambda _: None
        self.ended: Callable[[Order, int], None] = lambda *_: None
        self._by_client_id: dict[tuple[str, str], Order] = {}
        self._dice = dice
        self._next = first_number
        self._ending: list[tuple[int, int, Order]] = []
        self._fading: deque[tuple[int, Order]] = deque()
        self.switches = Switches()

    def place(self, uid: str, listed: Instrument, now_us: int, fields: Mapping[str, str]) -> Order:
        """Put an order on the book; `fields`: clOrdId, side, ordType, px, sz, tdMode, accFillSz, tag, attached."""
        number, self._next = self._next, self._next + 1
        order = Order(number, str(number), fields.get("clOrdId", ""), uid, listed, cTime_us=now_us, uTime_us=now_us)
        for name in ("side", "ordType", "px", "sz", "tdMode", "accFillSz", "tag", "attached"):
            if fields.get(name):
                setattr(order, name, fields[name])
        if order.accFillSz != "0":
            order.state = "partially_filled"
        self.orders[order.ordId] = self.live.setdefault(uid, {})[order.ordId] = order
        if order.clOrdId:
            self._by_client_id[uid, order.clOrdId] = order
        self.tell(order)
        return order

    def find(self, uid: str, ref: Ref) -> Order | None:
        """The user's order of that id, open or done; of a reused clOrdId the newest."""
        order = self.orders.get(ref.ordId) if ref.ordId else self._by_client_id.get((uid, ref.clOrdId))
        return order if order is not None and order.uid == uid else None

    def cancel(self, uid: str, ref: Ref, now_us: int) -> Ack:
        """Take a cancel: sCode `0` acknowledges it, what happens then is the behaviour's business."""
        order = self.find(uid, ref)
        if (refusal := self._misfit(ref, order)) is not None:
            return refusal
        if order is None or not order.open:
            return Ack("51400", "Cancellation failed as the order has been filled, canceled or does not exist.", None)
        if order.ending:
            repeat = self.behaviour.repeat_sCode
            return Ack(repeat, "" if repeat == "0" else "Order is already being canceled.", order)
        self._begin(order, now_us)
        return Ack("0", "", order)

    def end(self, order: Order, state: str, now_us: int) -> None:
        """Take an order off the book in its final state; does nothing to one that is off already."""
        if not order.open:
            return
        order.state, order.uTime_us, order.ending = state, now_us, ""
        self.live[order.uid].pop(order.ordId, None)
        if state == "filled":
            order.accFillSz = order.sz
        else:
            order.cancelSource = order.canceller
        if order.accFillSz == "0":
            self._fading.append((now_us + round(self.behaviour.forget_after_s * 1e6), order))
        self.tell(order)
        self.ended(order, now_us)

    @property
    def next_ending_us(self) -> int | None:
        """When the next lagging cancel takes effect, or a switch fires; None if there is neither."""
        due = [self._ending[0][0] if self._ending else None, self.switches.next_us]
        return min((due_us for due_us in due if due_us is not None), default=None)

    def advance(self, now_us: int) -> None:
        """Let everything happen that is due: switches fire, lagging cancels take effect, old orders are forgotten."""
        for fired in self.switches.fire(now_us):
            self._fire(fired)
        while self._ending and self._ending[0][0] <= now_us:
            due_us, _, order = heapq.heappop(self._ending)
            self.end(order, order.ending, due_us)
        while self._fading and self._fading[0][0] <= now_us:
            self._forget(self._fading.popleft()[1])

    def newest_first(self, uid: str) -> Iterator[Order]:
        """The user's open orders as `orders-pending` lists them."""
        return reversed(self.live.get(uid, {}).values())

    def history(self, uid: str) -> Iterator[Order]:
        """The user's finished orders, newest first."""
        return (order for order in reversed(self.orders.values()) if order.uid == uid and not order.open)

    def answered(self, items: list[dict[str, str]]) -> list[dict[str, str]]:
        """The items of one answer, in the order in which it lists them."""
        if self.behaviour.shuffle_items:
            self._dice.shuffle(items)
        return items

    def clear(self) -> None:
        """Forget every order; order numbers go on ascending."""
        self.orders.clear()
        self.live.clear()
        self._by_client_id.clear()
        self._ending.clear()
        self._fading.clear()
        self.switches.clear()

    def _misfit(self, ref: Ref, order: Order | None) -> Ack | None:
        if not ref.instId:
            return Ack("50014", "Parameter instId can not be empty", None)
        if ref.instId not in self.instruments:
            return Ack("51001", f"Instrument ID {ref.instId} doesn't exist.", None)
        if not ref.ordId and not ref.clOrdId:
            return Ack("51003", "Either client order ID or order ID is required.", None)
        if order is not None and order.instrument.instId != ref.instId:
            return Ack("51408", "The currency pair does not match the order.", None)
        return None

    def _begin(self, order: Order, now_us: int) -> None:
        if not order.lied and self._dice.random() < self.behaviour.lie_rate:
            order.lied = True
            return
        self._end_later(order, "filled" if self._dice.random() < self.behaviour.fill_rate else "canceled", now_us)

    def _fire(self, fired: Fired) -> None:
        for order in list(self.live.get(fired.uid, {}).values()):
            if fired.tag in {"", order.tag} and not order.ending:
                order.canceller = SWITCH
                self._end_later(order, "canceled", fired.at_us)

    def _end_later(self, order: Order, state: str, now_us: int) -> None:
        order.ending = state
        if self.behaviour.cancel_lag_ms <= 0:
            self.end(order, state, now_us)
            return
        heapq.heappush(self._ending, (now_us + round(self.behaviour.cancel_lag_ms * 1e3), order.number, order))

    def _forget(self, order: Order) -> None:
        self.orders.pop(order.ordId, None)
        if self._by_client_id.get((order.uid, order.clOrdId)) is order:
            del self._by_client_id[order.uid, order.clOrdId]
