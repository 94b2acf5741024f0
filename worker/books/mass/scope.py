"""The scope of a mass cancel: which open orders its filters mean, and why others are left out. Pure.

What the exchange can apply it applies, and we check it; the rest we apply ourselves. An order whose row does not say
what a filter asks for is never taken: that would widen the scope.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from pydantic import ValidationError

from bulk_cancel.tasks.mass import CancelAll
from bulk_cancel.tasks.messages import Order
from bulk_cancel.worker.okx.instruments import type_of
from bulk_cancel.worker.okx.sources import instruments_of, protects, types_of
from bulk_cancel.worker.okx.stops import GROUP_OF

BY_EXCHANGE: Final = ("instType", "instFamily", "instId")
"""Filters that `orders-pending` knows."""

UNREADABLE: Final = "its id cannot be read"
"""Why an order that is meant is left alone all the same: the scope is not flat, and somebody has to look."""

KEPT: Final = "protective, and kept"

BY_US: Final = ("side", "tag", "clOrdId_prefix", "min_age_s")


@dataclass(frozen=True, slots=True)
class Scope:
    """The filters of one mass cancel; a field that is None leaves nothing out."""

    instType: str | None = None
    instFamily: str | None = None
    instId: str | None = None
    side: str | None = None
    tag: str | None = None
    clOrdId_prefix: str | None = None
    min_age_s: float | None = None
    with_: tuple[str, ...] = ()
    protective: str | None = None
    bots: str | None = None

    @classmethod
    def of(cls, asked: CancelAll) -> Self:
        """What a message asks for."""
        return cls(**{name: getattr(asked, name) for name in (*BY_EXCHANGE, *BY_US, "with_", "protective", "bots")})

    @classmethod
    def read(cls, asked: Mapping[str, Any]) -> Self:
        """What `asked` says."""
        others = {name: value for name, value in asked.items() if name != "with"}
        return cls(**others, with_=tuple(asked.get("with", ())))

    @property
    def asked(self) -> dict[str, Any]:
        """Every filter that is set, and `with` what else."""
        said = {name: value for name, value in asdict(self).items() if name != "with_" and value is not None}
        return said | ({"with": list(self.with_)} if self.with_ else {})

    @property
    def with_algos(self) -> bool:
        """Whether algo orders are cancelled, too."""
        return "algos" in self.with_

    @property
    def for_algos(self) -> dict[str, str]:
        """The filters that the exchange's lists of algo orders know."""
        return {name: value for name, value in self.by_exchange.items() if name != "instFamily"}

    @property
    def by_exchange(self) -> dict[str, str]:
        """Those that the exchange is told."""
        return {name: str(value) for name, value in self.asked.items() if name in BY_EXCHANGE}

    @property
    def not_listed(self) -> str:
        """Which open orders the exchange does not even list under these filters, in words; "" if it lists all."""
        if not self.by_exchange:
            return ""
        pair = {"SPOT": "MARGIN", "MARGIN": "SPOT"}.get(self.instType or "")
        also = f", {pair} orders of the same pairs among them" if pair else ""
        return f"orders outside {', '.join(self.by_exchange.values())}{also}"

    @property
    def by_us(self) -> dict[str, Any]:
        """Those that only we apply."""
        return {name: value for name, value in self.asked.items() if name in BY_US}

    @property
    def since(self) -> str:
        """The first version whose workers can read it, "" if all can: one that cannot must not be given it."""
        return "1.1" if self.clOrdId_prefix or self.with_ else ""

    @property
    def needs_clock(self) -> bool:
        """Whether an order's age counts, so that the exchange must have told its time."""
        return self.min_age_s is not None

    def concerns(self, row: Mapping[str, str]) -> bool:
        """Whether what this row tells of could place orders that are meant: unless it says that it could not.

        The row is of an algo order, a bot and so on; how long it stands plays no part.
        """
        insts, types = instruments_of(row), types_of(row)
        family = self.instFamily
        return (
            (not self.instId or not insts or self.instId in insts)
            and (not family or not insts or any(inst.startswith(f"{family}-") for inst in insts))
            and (not self.instType or not types or self.instType in types)
            and (not self.side or self._may_be_of_side(row))
            and (not self.tag or row.get("tag", self.tag) == self.tag)
            and (not self.clOrdId_prefix or self._may_be_named(row))
        )

    def _may_be_of_side(self, row: Mapping[str, str]) -> bool:
        """The side of a spread order is the spread's: one leg buys, and the other sells."""
        return bool(row.get("sprdId")) or row.get("side", self.side) == self.side

    def _may_be_named(self, row: Mapping[str, str]) -> bool:
        """The TP/SL that came with an order of these has no client id of its own."""
        told, is_attached = row.get("algoClOrdId"), row.get("ordType") in {"conditional", "oco"}
        return told is None or (is_attached and not told) or told.startswith(self.clOrdId_prefix or "")

    @property
    def is_whole(self) -> bool:
        """Whether it has no filter."""
        return not (self.by_exchange or self.by_us)

    def stops(self, name: str, row: Mapping[str, str]) -> bool:
        """Whether a product of this list is to be ended: its kind is, and all that it trades is within the filters.

        One of which only a part is, or is not told, is left alone: it may place orders that are meant, and others.
        """
        if GROUP_OF.get(name) not in self.with_:
            return False
        insts = instruments_of(row)
        is_type = not self.instType or row.get("instType", "") in {"", self.instType}
        return self.is_whole or (bool(insts) and is_type and all(map(self._is_within, insts)))

    def _is_within(self, inst: str) -> bool:
        return (
            self.instId in {None, inst}
            and (not self.instFamily or inst.startswith(f"{self.instFamily}-"))
            and self.instType in {None, type_of(inst)}
        )

    def leaves_able(self, row: Mapping[str, str]) -> bool:
        """Whether it could place orders that are meant, and nobody chose to keep it."""
        return self.concerns(row) and not self.keeps(row)

    def keeps(self, row: Mapping[str, str]) -> bool:
        """Whether it is an algo order that stays by choice: it can only reduce a position."""
        return self.with_algos and self.protective != "cancel" and protects(row)

    def leaves_out(self, row: Mapping[str, str], *, now_ms: float) -> str:
        """Why this open order is not meant, in words for a report; "" when it is. `now_ms`: the exchange's clock."""
        if self.keeps(row):
            return KEPT
        for name in BY_EXCHANGE:
            if (wanted := getattr(self, name)) and _told(row, name) != wanted:
                return f"{name} is not {wanted}, although the exchange listed it"
        if self.side and row.get("side") != self.side:
            return f"side is not {self.side}"
        if self.tag and row.get("tag") != self.tag:
            return f"tag is not {self.tag}"
        if self.clOrdId_prefix and not row.get("clOrdId", "").startswith(self.clOrdId_prefix):
            return f"clOrdId does not begin with {self.clOrdId_prefix}"
        return self._too_young(row.get("cTime", ""), now_ms) or ("" if named(row) else UNREADABLE)

    def _too_young(self, placed_ms: str, now_ms: float) -> str:
        if self.min_age_s is None:
            return ""
        if not placed_ms.isascii() or not placed_ms.isdigit():
            return "its age is not told"
        young = now_ms - int(placed_ms) < self.min_age_s * 1000
        return f"younger than {self.min_age_s:g} s" if young else ""


def named(row: Mapping[str, str]) -> Order | None:
    """The order of a row as we name it; None if its ids are none that we know how to send."""
    try:
        return Order(instId=row.get("instId", ""), ordId=row.get("ordId", ""))
    except ValidationError:
        return None


def _told(row: Mapping[str, str], name: str) -> str:
    """What the row says of a filter; the family is the instrument's first two parts where it says nothing of it."""
    if name != "instFamily" or row.get("instFamily"):
        return row.get(name, "")
    parts = row.get("instId", "").split("-")
    return "-".join(parts[:2]) if len(parts) > 2 else ""  # noqa: PLR2004 (base and quote alone: spot, which has none)
