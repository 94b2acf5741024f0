"""How products (bots, spread orders, RFQs and quotes) are made to end: their calls and limits. Pure.

Bots are stopped in one way only: they keep coins and positions, and nothing is sold or closed. What cannot be stopped
so (contract DCA, signal bots, copies, leading and copied traders) is no machine's to stop, and has no call here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from bulk_cancel.worker.okx.sources import BY_NAME, SourceList, instruments_of

KEEP: Final = "2"
"""The `stopType` that keeps coins and positions; every other one trades."""

COPIES: Final = frozenset({"1", "2", "3"})
"""Values of `copyType` of a bot that others copy, or that is a copy: of it only a stop that trades is accepted."""

COPIED: Final = "led or copied: only a stop that trades would be accepted"
STOPPING: Final = "it is stopping"
SETTLES: Final = "matched in part, which has not settled yet"


@dataclass(frozen=True, slots=True)
class Stop:
    """The call that ends products of one list; calls of one `meter` share its `limit` in a window of the user.

    `each`: it names at most so many, in a list; 1: one, as an object; 0: none, for it ends all that there are.
    """

    listed: SourceList
    path: str
    meter: str
    limit: int
    each: int
    said: Mapping[str, str] = field(default_factory=dict)

    def body(self, named: Sequence[tuple[str, str]]) -> Mapping[str, str] | Sequence[Mapping[str, str]]:
        """What is sent to end products, each named by its id and its instrument."""
        if self.each == 1:
            return {"algoId": named[0][0], **self.said}
        return [{"algoId": ident, **({"instId": inst} if self.said else {}), **self.said} for ident, inst in named]


def _bot(name: str, path: str, meter: str, each: int, said: Mapping[str, str] | None = None) -> Stop:
    return Stop(BY_NAME[name], f"/api/v5/tradingBot/{path}", meter, 20, each, said or {})


def _all(name: str, path: str, meter: str, limit: int) -> Stop:
    return Stop(BY_NAME[name], f"/api/v5/{path}", meter, limit, 0)


_GRID, _DCA = "grid/stop-order-algo", "dca/stop"

STOP_OF: Final = {
    stop.listed.name: stop
    for stop in (
        _bot("spot_grid", _GRID, "grid_stops", 10, {"algoOrdType": "grid", "stopType": KEEP}),
        _bot("contract_grid", _GRID, "grid_stops", 10, {"algoOrdType": "contract_grid", "stopType": KEEP}),
        _bot("spot_dca", _DCA, "dca_stops", 1, {"algoOrdType": "spot_dca", "stopType": KEEP}),
        _bot("recurring_buy", "recurring/stop-order-algo", "recurring_stops", 10),
        _all("spread", "sprd/mass-cancel", "spread_cancels", 10),
        _all("rfq", "rfq/cancel-all-rfqs", "rfq_cancels", 2),
        _all("quote", "rfq/cancel-all-quotes", "quote_cancels", 2),
    )
}

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "bots": ("spot_grid", "contract_grid", "spot_dca", "recurring_buy"),
    "spreads": ("spread",),
    "rfqs": ("rfq", "quote"),
}
"""The lists of each kind that a mass cancel names in `with`."""

GROUP_OF: Final = {name: group for group, names in GROUPS.items() for name in names}


class Found(NamedTuple):
    """One product that is meant, as its list shows it.

    `held`: why it is not asked to end. `human`: that is so for good, and somebody has to decide.
    """

    inst: str
    note: str = ""
    held: Literal["", "waits", "human"] = ""


def still_placing(details: Mapping[str, str]) -> str:
    """Why a grid bot that stopped is not done, in words; "" if its details tell of no order that is left."""
    left = details.get("activeOrdNum", "").strip("0")
    return f"it stopped, and {details['activeOrdNum']} of its orders are left" if left else ""


def found(name: str, row: Mapping[str, str]) -> Found:
    """What its row says of a product that is at work."""
    inst = row.get("sprdId") or "/".join(instruments_of(row))
    if row.get("copyType") in COPIES:
        return Found(inst, COPIED, "human")
    if row.get("state") == "stopping":
        return Found(inst, STOPPING, "waits")
    if name == "spread" and row.get("pendingSettleSz", "").strip("0."):
        return Found(inst, SETTLES)
    return Found(inst)
