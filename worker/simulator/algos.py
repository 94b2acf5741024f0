"""The algo orders of the simulated exchange: what they are, when they fire, and what a cancel does to one of them.

Pure: the caller names the time (integer µs) and seeds the dice.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from bulk_cancel.worker.simulator.book import Ack, Book, Order, Ref
from bulk_cancel.worker.simulator.due import Due
from bulk_cancel.worker.simulator.instruments import Instrument

LISTED = frozenset({"live", "pause"})
SLICING = frozenset({"chase", "twap", "smart_iceberg", "iceberg"})
"""Types that keep a working order in the book, and replace it."""

SOURCE: Mapping[str, str] = {
    "trigger": "6", "conditional": "7", "oco": "7", "move_order_stop": "25", "chase": "34",
}  # fmt: skip
"""The `source` of an order that an algo order placed; 13 for all others."""

_GONE = "The algo order has been canceled, has fired or does not exist."


@dataclass(frozen=True, slots=True)
class AlgoBehaviour:
    """How algo orders behave. What OKX's documentation leaves open can be had both ways.

    `cancel_lag_ms`: an acknowledged cancel takes effect that much later. `list_lag_ms`: lists show a change that much
    later. `fire_rate`: share of triggers that fire when their cancel arrives, which is then answered `fire_sCode` ("0":
    acknowledged all the same). `fire_every_ms`: so often one that waits fires by itself, 0 never. `child_filled`: what
    fires is filled at once, and leaves no order. `keeps_child`: a cancelled chase, TWAP or iceberg leaves its working
    order. `replaces_child`: while it lives, its cancelled working order is replaced. `attached_lag_ms`: the TP/SL of a
    part-filled order is placed that long after the order's cancel, -1 never. `refused_types`: types that only
    `cancel-advance-algos` takes. `unlisted_types`: types whose listing is refused.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    cancel_lag_ms: float = 0.0
    list_lag_ms: float = 0.0
    fire_rate: float = 0.0
    fire_sCode: str = "51400"
    fire_every_ms: float = 0.0
    child_filled: bool = False
    keeps_child: bool = False
    replaces_child: bool = True
    attached_lag_ms: float = 0.0
    refused_types: tuple[str, ...] = ()
    unlisted_types: tuple[str, ...] = ()


@dataclass(slots=True)
class Algo:
    """One algo order; `ordIds` and `algoIds` are its children, `gone_us` when its list stops to show it."""

    number: int
    algoId: str
    uid: str
    instrument: Instrument
    ordType: str
    cTime_us: int
    uTime_us: int
    algoClOrdId: str = ""
    side: str = "buy"
    sz: str = "1"
    tag: str = ""
    reduceOnly: str = "false"
    closeFraction: str = ""
    advanceOrdType: str = ""
    parent: str = ""
    state: str = "live"
    ending: bool = False
    shown_us: int = 0
    gone_us: int | None = None
    ordIds: list[str] = field(default_factory=list)
    algoIds: list[str] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether it can still place orders."""
        return self.state in LISTED


FIELDS = ("algoClOrdId", "side", "sz", "tag", "reduceOnly", "closeFraction", "advanceOrdType", "parent")


class Algos:
    """All algo orders of all users, oldest first, over the book in which they place their orders.

    `tell` is called after each change of one.
    """

    def __init__(self, book: Book, dice: random.Random, *, first_number: int) -> None:
        self.behaviour = AlgoBehaviour()
        self.all: dict[str, Algo] = {}
        self.due = Due()
        self.tell: Callable[[Algo], None] = lambda _: None
        self._book = book
        self._dice = dice
        self._next = first_number
        book.ended = self._order_ended

    def place(
        self, uid: str, listed: Instrument, ord_type: str, now_us: int, fields: Mapping[str, str] | None = None
    ) -> Algo:
        """Put an algo order on; `fields` are OKX's (see FIELDS). Types that slice have a working order at once."""
        number, self._next = self._next, self._next + 1
        algo = Algo(number, str(number), uid, listed, ord_type, now_us, now_us, shown_us=now_us + self._list_lag_us)
        for name in FIELDS:
            if fields and fields.get(name):
                setattr(algo, name, fields[name])
        self.all[algo.algoId] = algo
        if ord_type in SLICING:
            self._place_child(algo, now_us)
        self.tell(algo)
        self._fire_later(now_us)
        return algo

    def find(self, uid: str, algo_id: str, client_id: str) -> Algo | None:
        """The user's algo order of that id, open or done; of a reused client id the newest."""
        if algo_id:
            algo = self.all.get(algo_id)
            return algo if algo is not None and algo.uid == uid else None
        found = (algo for algo in reversed(self.all.values()) if algo.uid == uid and algo.algoClOrdId == client_id)
        return next(found, None) if client_id else None

    def listed(self, uid: str, now_us: int) -> Iterator[Algo]:
        """The user's algo orders as their lists show them, newest first."""
        for algo in reversed(self.all.values()):
            shown = algo.open if algo.gone_us is None else now_us < algo.gone_us
            if algo.uid == uid and algo.shown_us <= now_us and shown:
                yield algo

    def cancel(self, uid: str, ref: Ref, now_us: int, *, advance: bool) -> Ack:
        """Take a cancel; the ids of `ref` are algoId and algoClOrdId. `advance`: over the old endpoint."""
        if not ref.instId:
            return Ack("50014", "Parameter instId can not be empty", None)
        algo = self.find(uid, ref.ordId, ref.clOrdId)
        if algo is None or algo.instrument.instId != ref.instId or not algo.open:
            return Ack("51293" if advance and algo is None else "51400", _GONE, None)
        if not advance and algo.ordType in self.behaviour.refused_types:
            return Ack("51000", "Parameter algoId error", None)
        if algo.ordType == "trigger" and self._dice.random() < self.behaviour.fire_rate:
            self.fire(algo, now_us)
            said = self.behaviour.fire_sCode
            return Ack(said, "" if said == "0" else _GONE, None)
        if not algo.ending:
            algo.ending = True
            self.due.after(now_us, self.behaviour.cancel_lag_ms, lambda at_us: self._end(algo, "canceled", at_us))
        return Ack("0", "", None)

    def fire(self, algo: Algo, now_us: int) -> None:
        """Its price is met: it places its order (`advanceOrdType=chase`: a chase order), and leaves its list."""
        if not algo.open:
            return
        if algo.advanceOrdType == "chase":
            made = self.place(algo.uid, algo.instrument, "chase", now_us, {"side": algo.side, "parent": algo.algoId})
            algo.algoIds.append(made.algoId)
        else:
            self._place_child(algo, now_us)
        self._end(algo, "effective", now_us)

    def advance(self, now_us: int) -> None:
        """Let everything happen that is due."""
        self.due.advance(now_us)

    def clear(self) -> None:
        """Forget every algo order; their numbers go on ascending."""
        self.all.clear()
        self.due.clear()

    @property
    def _list_lag_us(self) -> int:
        return round(self.behaviour.list_lag_ms * 1e3)

    def _place_child(self, algo: Algo, now_us: int) -> None:
        fields = {"side": algo.side, "sz": algo.sz, "tag": algo.tag}
        order = self._book.place(algo.uid, algo.instrument, now_us, fields)
        order.algoId, order.source = algo.algoId, SOURCE.get(algo.ordType, "13")
        algo.ordIds.append(order.ordId)
        if self.behaviour.child_filled and algo.ordType not in SLICING:
            self._book.end(order, "filled", now_us)

    def _end(self, algo: Algo, state: str, now_us: int) -> None:
        if not algo.open:
            return
        algo.state, algo.uTime_us, algo.ending = state, now_us, False
        algo.gone_us = now_us + self._list_lag_us
        self.tell(algo)
        if algo.ordType in SLICING and not self.behaviour.keeps_child:
            for order_id in algo.ordIds:
                self._book.end(self._book.orders[order_id], "canceled", now_us)

    def _order_ended(self, order: Order, now_us: int) -> None:
        """A part-filled order leaves its TP/SL when it is cancelled; a working order is replaced."""
        if order.attached and order.state == "canceled" and order.accFillSz != "0":
            self._place_attached(order, now_us)
        parent = self.all.get(order.algoId)
        if parent is not None and parent.ordType in SLICING and parent.open and self.behaviour.replaces_child:
            self._place_child(parent, now_us)

    def _place_attached(self, order: Order, now_us: int) -> None:
        if self.behaviour.attached_lag_ms < 0:
            return
        side = "sell" if order.side == "buy" else "buy"
        fields = {"side": side, "sz": order.accFillSz, "tag": order.tag, "reduceOnly": order.attached}
        self.due.after(
            now_us,
            self.behaviour.attached_lag_ms,
            lambda at_us: self.place(order.uid, order.instrument, "conditional", at_us, fields),
        )

    def _fire_later(self, now_us: int) -> None:
        """One that waits fires by itself after a while, again and again."""
        every_ms = self.behaviour.fire_every_ms
        if every_ms and not self.due.has("fire"):
            self.due.after(now_us, every_ms, self._fire_one, name="fire")

    def _fire_one(self, now_us: int) -> None:
        waiting = [algo for algo in self.all.values() if algo.open and algo.ordType == "trigger" and not algo.ending]
        if waiting:
            self.fire(self._dice.choice(waiting), now_us)
            self._fire_later(now_us)
