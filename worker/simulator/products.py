"""What else can place orders on the simulated exchange: spread orders, RFQs, quotes, bots, copied traders.

Pure: the caller names the time (integer µs).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal

from bulk_cancel.worker.simulator.due import Due

ENDED = frozenset({"canceled", "stopped", "filled"})
KEEPS_ITS_PLACE = "no_close_position"
"""The state of a contract grid that was stopped and kept its position: listed, and placing nothing."""

COPIED = frozenset({"1", "2", "3"})
"""Values of `copyType` of a grid that others copy, or that is a copy."""


@dataclass(frozen=True, slots=True)
class ProductBehaviour:
    """How products behave.

    `stop_lag_ms`: a stop or cancel takes effect that much later. `list_lag_ms`: lists show an end that much later.
    `settle_ms`: a spread order that is matched in part (`pendingSettleSz`) ends that much later. `sub_orders_ms`: a
    contract grid that kept its position has orders for so long. `none_left`: whether a cancel of all RFQs or quotes is
    refused when none is active, or accepted all the same. `unavailable`: the code with which each call to a
    group is refused, by group: sprd, rfq, grid, dca, recurring, signal, copytrading, algo.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    stop_lag_ms: float = 0.0
    list_lag_ms: float = 0.0
    settle_ms: float = 0.0
    sub_orders_ms: float = 0.0
    none_left: Literal["refused", "accepted"] = "refused"
    unavailable: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Product:
    """One of them: `inst` is its instrument, spread or trader; `traded`: its stop sold or closed something.

    `others`: an RFQ or quote that somebody else sent to the user. `shown`: what lists show of its state.
    """

    number: int
    id: str
    kind: str
    uid: str
    inst: str
    state: str
    cTime_us: int
    fields: dict[str, str]
    ending: bool = False
    traded: bool = False
    others: bool = False
    shown: str = ""
    orders: int = 0

    @property
    def listed(self) -> bool:
        """Whether its list shows it."""
        return self.shown not in ENDED

    @property
    def active(self) -> bool:
        """Whether it has not ended, whatever lists show."""
        return self.state not in ENDED

    @property
    def settles(self) -> bool:
        """Whether it is a spread order of which a part is matched and not settled."""
        return self.fields.get("pendingSettleSz", "0") != "0"


class Products:
    """All of them, of all users, oldest first."""

    def __init__(self, *, first_number: int) -> None:
        self.behaviour = ProductBehaviour()
        self.all: dict[str, Product] = {}
        self.due = Due()
        self._next = first_number

    def place(
        self,
        uid: str,
        kind: str,
        inst: str,
        now_us: int,
        *,
        state: str = "",
        fields: Mapping[str, str] | None = None,
        others: bool = False,
    ) -> Product:
        """One more; `fields` are added to its row. Without a `state` it is at work."""
        number, self._next = self._next, self._next + 1
        state = state or {"sprd": "live", "rfq": "active", "quote": "active"}.get(kind, "running")
        made = Product(number, str(number), kind, uid, inst, state, now_us, dict(fields or {}), others=others)
        made.shown = state
        self.all[made.id] = made
        return made

    def listed(self, uid: str, kind: str) -> Iterator[Product]:
        """The user's, newest first."""
        return (each for each in reversed(self.all.values()) if (each.uid, each.kind) == (uid, kind) and each.listed)

    def end(self, chosen: Iterable[Product], state: str, now_us: int) -> None:
        """They are stopping from now on, and have stopped when the behaviour says so."""
        for each in chosen:
            if each.ending:
                continue
            each.ending = True
            if each.kind not in {"sprd", "rfq", "quote"}:
                self._becomes(each, "stopping", now_us)
            lag_ms = self.behaviour.settle_ms if each.settles else self.behaviour.stop_lag_ms
            self.due.after(now_us, lag_ms, partial(self._becomes, each, state))

    def advance(self, now_us: int) -> None:
        """Let everything happen that is due."""
        self.due.advance(now_us)

    def clear(self) -> None:
        """Forget all of them."""
        self.all.clear()
        self.due.clear()

    def _becomes(self, product: Product, state: str, now_us: int) -> None:
        product.state = state
        self.due.after(now_us, self.behaviour.list_lag_ms, partial(self._is_shown, product, state))
        if state == KEEPS_ITS_PLACE and self.behaviour.sub_orders_ms:
            product.orders = 2
            self.due.after(now_us, self.behaviour.sub_orders_ms, partial(self._has_no_orders, product))

    @staticmethod
    def _is_shown(product: Product, state: str, _now_us: int) -> None:
        product.shown = state

    @staticmethod
    def _has_no_orders(product: Product, _now_us: int) -> None:
        product.orders = 0
