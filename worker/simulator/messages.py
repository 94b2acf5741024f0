"""The bodies of the control API: one value per request and answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from bulk_cancel.worker.simulator.faults import Fault, ItemCode
from bulk_cancel.worker.simulator.log import MeterSummary

_STRICT: dict[str, str] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class PlaceOrders:
    """Put `count` orders, placed `age_s` ago, on an instrument; with `prefix` their clOrdId is prefix + number.

    `attached`: each has a TP/SL, and that is its `reduceOnly`.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    uid: str
    instId: str
    count: int = 1
    prefix: str = ""
    clOrdIds: tuple[str, ...] = ()
    side: Literal["buy", "sell"] = "buy"
    ordType: str = "limit"
    px: str = "1"
    sz: str = "1"
    tdMode: str = ""
    accFillSz: str = "0"
    tag: str = ""
    attached: Literal["", "true", "false"] = ""
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class EndOrders:
    """Take orders off the book without our doing, as fills and the exchange itself do."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    ordIds: tuple[str, ...]
    state: Literal["filled", "canceled", "mmp_canceled"] = "filled"


@dataclass(frozen=True, slots=True)
class PlaceAlgos:
    """Put `count` algo orders of one type on an instrument."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    uid: str
    instId: str
    ordType: str = "trigger"
    count: int = 1
    algoClOrdId: str = ""
    side: Literal["buy", "sell"] = "buy"
    sz: str = "1"
    tag: str = ""
    reduceOnly: Literal["true", "false"] = "false"
    closeFraction: str = ""
    advanceOrdType: str = ""
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FireAlgos:
    """The prices of these algo orders are met."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    algoIds: tuple[str, ...]


ProductKind = Literal[
    "sprd", "rfq", "quote", "grid", "contract_grid", "spot_dca", "contract_dca", "recurring", "contract", "copy"
]


@dataclass(frozen=True, slots=True)
class PlaceProducts:
    """Put `count` of a kind on: spread orders, RFQs, quotes, bots, copied traders; `fields` are added to their rows.

    `others`: RFQs or quotes that somebody else sent to the user.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    uid: str
    kind: ProductKind
    inst: str = ""
    count: int = 1
    state: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    others: bool = False


@dataclass(frozen=True, slots=True)
class AlgoState:
    """One algo order on the exchange; `cancels` counts the cancels of it that arrived, whatever their answer."""

    algoId: str
    algoClOrdId: str
    uid: str
    instId: str
    ordType: str
    state: str
    parent: str
    ordIds: tuple[str, ...]
    algoIds: tuple[str, ...]
    cancels: int


@dataclass(frozen=True, slots=True)
class ProductState:
    """A spread order, RFQ, quote, bot or copied trader; `traded`: its stop sold or closed something.

    `others`: somebody else sent it to the user.
    """

    id: str
    kind: str
    uid: str
    inst: str
    state: str
    traded: bool
    others: bool


@dataclass(frozen=True, slots=True)
class Script:
    """Answers of one order (`id`: its ordId or clOrdId) to its next cancels, in sequence."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    id: str
    steps: tuple[ItemCode | Fault, ...]


@dataclass(frozen=True, slots=True)
class AccountChange:
    """New properties of the API key `key`; None leaves one as it is."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    key: str
    revoked: bool | None = None
    ip_allowed: bool | None = None
    permissions: tuple[str, ...] | None = None
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class RefuseConnections:
    """Close the listener for `for_s`; `drop` also resets every client that is connected."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    for_s: float
    drop: bool = True


@dataclass(frozen=True, slots=True)
class ChannelFault:
    """What happens to the private channels for `for_s` seconds, 0 ends it.

    `drop` resets them all and refuses new ones; `hold` says nothing over them, not even `pong`, and says all of
    it afterwards; `lose` forgets the pushes of that time; `notice` tells them all that they will soon be closed
    for an upgrade, and leaves them open.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    action: Literal["drop", "hold", "lose", "notice"]
    for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far the exchange's wall clock is off, in seconds."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    offset_s: float


@dataclass(frozen=True, slots=True)
class OrderState:
    """One order on the exchange; `cancels` counts the cancels of it that arrived, whatever their answer."""

    ordId: str
    clOrdId: str
    uid: str
    instId: str
    state: str
    accFillSz: str
    cancelSource: str
    cTime_us: int
    uTime_us: int
    cancels: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The oracle's view.

    `meters` by key (`single:1001:BTC-USDT`), `live` orders by uid and instrument, `cancels_per_order` (how
    many orders met 1, 2, … cancels), `arrivals` in all, `dropped` log rows, `channels` that are pushed to, and
    `connections` of clients that are open now (those of the control API not counted).
    """

    meters: dict[str, MeterSummary]
    live: dict[str, dict[str, int]]
    cancels_per_order: dict[int, int]
    arrivals: int
    dropped: int
    channels: int = 0
    connections: int = 0

    @property
    def refusals(self) -> int:
        """Requests refused for speed, over all meters."""
        return sum(meter.refusals for meter in self.meters.values())

    @property
    def live_orders(self) -> int:
        """Orders still on the book."""
        return sum(sum(by_instrument.values()) for by_instrument in self.live.values())
