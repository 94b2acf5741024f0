"""What can place orders besides a program: how the exchange lists each kind of it, and who may list what. Pure.

A *source* is an algo order, a spread order, an RFQ or quote, a bot, a trader who is copied, or the role of one who is.
Ordinary cancels and the dead man's switch reach none of them. Eighteen calls list all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bulk_cancel.worker.okx.codes import STOP_CODES, Verdict
from bulk_cancel.worker.okx.instruments import type_of

LEADING: Final = "1"
"""The `roleType` of an account whose trades others copy."""

UNAVAILABLE: Final = frozenset(code for code, row in STOP_CODES.items() if row.verdict is Verdict.UNAVAILABLE)
"""The product is not open to this account, or not on demo. 50046 and 50062, "not now", are not among them: what was
started before may still be at work."""

_NOT_ON_DEMO: Final = "50038"
_OF_EVERY_ACCOUNT: Final = frozenset({"algos", "config"})
"""The meters of what is no product: every account has algo orders and a role, whether or not our key may see them."""

_IDLE: Final = frozenset({"no_close_position", "stopped"})
"""States of bots that place nothing any more, though they may be listed."""

_PARAMETER_ERROR: Final = "51000"


@dataclass(frozen=True, slots=True)
class SourceList:
    """One list of the exchange: its rows are of `kind`, of algo orders of their own ordType.

    `ident` is the field that names a row and after which (parameter `after`, "": one page) the next page begins. Calls
    of one `meter` share its `limit` in a window of the user.
    """

    name: str
    kind: str
    path: str
    meter: str
    limit: int
    query: Mapping[str, str] = field(default_factory=dict)
    ident: str = "algoId"
    after: str = "after"

    def kind_of(self, row: Mapping[str, str]) -> str:
        """What the row is: one of WORDS."""
        return self.kind or row.get("ordType", "")

    def is_able(self, row: Mapping[str, str]) -> bool:
        """Whether what the row tells of can still place orders."""
        if self.kind == "lead_trading":
            return LEADING in {row.get("roleType"), row.get("spotRoleType")}
        return row.get("state") not in _IDLE and not is_theirs(self.name, row)

    def tells(self, rows: Sequence[Mapping[str, str]]) -> bool:
        """Whether the rows say what they are read for: a role that is not told is not none."""
        return self.kind != "lead_trading" or any({"roleType", "spotRoleType"} & row.keys() for row in rows)

    def is_unavailable(self, code: str) -> bool:
        """Whether the refusal says that the account has nothing of it, since it may not."""
        # new ones are smart_iceberg alone, and the exchange may have ceased to know the old name
        if self.name == "iceberg" and code == _PARAMETER_ERROR:
            return True
        return code == _NOT_ON_DEMO if self.meter in _OF_EVERY_ACCOUNT else code in UNAVAILABLE


def _algos(types: str) -> SourceList:
    return SourceList(types, "", "/api/v5/trade/orders-algo-pending", "algos", 20, {"ordType": types})


def _bots(name: str, path: str, meter: str, query: Mapping[str, str] | None = None) -> SourceList:
    return SourceList(name, name, f"/api/v5/tradingBot/{path}", meter, 20, query or {})


_GRIDS, _DCAS = "grid/orders-algo-pending", "dca/ongoing-list"

_ALGO_LISTS: Final = ("conditional,oco", "trigger", "move_order_stop", "chase", "twap", "smart_iceberg", "iceberg")

LISTS: Final = (
    *map(_algos, _ALGO_LISTS),
    SourceList("spread", "spread", "/api/v5/sprd/orders-pending", "spreads", 10, {}, "ordId", "endId"),
    SourceList("rfq", "rfq", "/api/v5/rfq/rfqs", "rfqs", 2, {"state": "active"}, "rfqId", "endId"),
    SourceList("quote", "quote", "/api/v5/rfq/quotes", "quotes", 2, {"state": "active"}, "quoteId", "endId"),
    _bots("spot_grid", _GRIDS, "grids", {"algoOrdType": "grid"}),
    _bots("contract_grid", _GRIDS, "grids", {"algoOrdType": "contract_grid"}),
    _bots("spot_dca", _DCAS, "dcas", {"algoOrdType": "spot_dca"}),
    _bots("contract_dca", _DCAS, "dcas", {"algoOrdType": "contract_dca"}),
    _bots("recurring_buy", "recurring/orders-algo-pending", "recurring"),
    _bots("signal_bot", "signal/orders-algo-pending", "signals", {"algoOrdType": "contract"}),
    SourceList("copy_trading", "copy_trading", "/api/v5/copytrading/current-lead-traders", "copies", 5,
               {"instType": "SWAP"}, "uniqueCode", ""),
    SourceList("lead_trading", "lead_trading", "/api/v5/account/config", "config", 5, {}, "uid", ""),
)  # fmt: skip

BY_NAME: Final = {listed.name: listed for listed in LISTS}

PARENTS: Final = ("trigger", "chase", "twap", "smart_iceberg", "iceberg")
"""Algo orders that place others, the lists of those first that fire into the next ones."""

STOPS: Final = ("conditional,oco", "move_order_stop")
"""Algo orders that mostly protect a position."""

ALGO_TYPES: Final = tuple(",".join(_ALGO_LISTS).split(","))
_STOP_TYPES: Final = tuple(",".join(STOPS).split(","))

ALGO_HISTORIES: Final = (
    *({"ordType": "trigger", "state": each} for each in ("canceled", "effective")),
    *({"ordType": each, "state": "canceled"} for each in ALGO_TYPES if each != "trigger"),
    *({"ordType": each, "state": "effective"} for each in _STOP_TYPES),
)
"""The lists of ended algo orders, of those that were cancelled and those that fired; first of what there is most."""

_ALGO_STATES: Final = {
    "live": "live", "pause": "live", "partially_effective": "live", "canceled": "canceled", "effective": "fired",
    "order_failed": "fired", "partially_failed": "fired",
}  # fmt: skip


def is_theirs(name: str, row: Mapping[str, str]) -> bool:
    """Whether an RFQ's or quote's row says that it is somebody else's, who sent it to this user.

    A flow type is told to makers alone, and the client's id of an RFQ to its taker, whose quotes are others'.
    """
    marks = {"rfq": ("flowType", "clRfqId"), "quote": ("clRfqId", "clQuoteId")}
    if name not in marks:
        return False
    theirs, ours = marks[name]
    return bool(row.get(theirs)) and not row.get(ours)


def protects(row: Mapping[str, str]) -> bool:
    """Whether an algo order can only reduce a position; else it counts as able to open one."""
    is_stop = row.get("ordType") in _STOP_TYPES
    return is_stop and (row.get("reduceOnly") == "true" or row.get("closeFraction") == "1")


def as_order(row: Mapping[str, str]) -> Mapping[str, str]:
    """An algo order's row in the words of an order's: its ids, and a state of `live`, `canceled` or `fired`."""
    if not row:
        return row
    state = row.get("state", "")
    named = {"ordId": row.get("algoId", ""), "clOrdId": row.get("algoClOrdId", "")}
    return {**row, **named, "state": _ALGO_STATES.get(state, state), "placed": ",".join(_placed_by(row))}


def _placed_by(row: Mapping[str, str]) -> list[str]:
    """The ordIds of its children, and of the limit order to which a stop is linked; `ordId` is on its way out."""
    listed = row.get("ordIdList") or row.get("ordId", "")
    return _ids(f"{listed},{row.get('linkedOrd.ordId', '')}")


def children_of(row: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The ordIds and algoIds of what an algo order has placed, from its row in the words of orders."""
    return _ids(row.get("placed", "")), _ids(row.get("subAlgoIdList", ""))


def _ids(text: str) -> list[str]:
    return [each for each in dict.fromkeys(text.split(",")) if each.isascii() and each.isdigit()]


WORDS: Final[Mapping[str, str]] = {
    "conditional": "TP/SL order", "oco": "OCO order", "trigger": "trigger order", "move_order_stop": "trailing stop",
    "chase": "chase order", "twap": "TWAP order", "smart_iceberg": "iceberg order", "iceberg": "old iceberg order",
    "spread": "spread order", "rfq": "RFQ", "quote": "quote", "spot_grid": "spot grid bot",
    "contract_grid": "contract grid bot", "spot_dca": "spot DCA bot", "contract_dca": "contract DCA bot",
    "recurring_buy": "recurring buy", "signal_bot": "signal bot", "copy_trading": "copied trader",
    "lead_trading": "leading role",
}  # fmt: skip
"""Each kind in words, for one of it."""


UNSEEN: Final[Mapping[str, str]] = {"all": "nobody looked at what else can place orders"}
"""What is not known, and why, if no list was read."""


def kind_words(name: str) -> str:
    """A kind of what can place orders, or a list of several, in words for one of it."""
    return "TP/SL and OCO order" if name == "conditional,oco" else WORDS.get(name, name.replace("_", " "))


def instruments_of(row: Mapping[str, str]) -> tuple[str, ...]:
    """The instruments on which it may place orders, as far as its row says: of a spread both legs."""
    if spread := row.get("sprdId"):
        return tuple(spread.split("_"))
    return (row["instId"],) if row.get("instId") else ()


def types_of(row: Mapping[str, str]) -> frozenset[str]:
    """The instTypes that its orders may have; empty if its row does not say."""
    if row.get("instType"):
        return frozenset({row["instType"]})
    derived = {type_of(inst_id) for inst_id in instruments_of(row)}
    return frozenset(derived | ({"MARGIN"} if "SPOT" in derived else set()))
