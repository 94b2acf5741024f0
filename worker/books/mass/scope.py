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

BY_EXCHANGE: Final = ("instType", "instFamily", "instId")
"""Filters that `orders-pending` knows."""

UNREADABLE: Final = "its id cannot be read"
"""Why an order that is meant is left alone all the same: the scope is not flat, and somebody has to look."""

BY_US: Final = ("side", "tag", "min_age_s")


@dataclass(frozen=True, slots=True)
class Scope:
    """The filters of one mass cancel; a field that is None leaves nothing out."""

    instType: str | None = None
    instFamily: str | None = None
    instId: str | None = None
    side: str | None = None
    tag: str | None = None
    min_age_s: float | None = None

    @classmethod
    def of(cls, asked: CancelAll) -> Self:
        """What a message asks for."""
        return cls(**{name: getattr(asked, name) for name in (*BY_EXCHANGE, *BY_US)})

    @property
    def asked(self) -> dict[str, Any]:
        """Every filter that is set."""
        return {name: value for name, value in asdict(self).items() if value is not None}

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
    def needs_clock(self) -> bool:
        """Whether an order's age counts, so that the exchange must have told its time."""
        return self.min_age_s is not None

    def leaves_out(self, row: Mapping[str, str], *, now_ms: float) -> str:
        """Why this open order is not meant, in words for a report; "" when it is. `now_ms`: the exchange's clock."""
        for name in BY_EXCHANGE:
            if (wanted := getattr(self, name)) and _told(row, name) != wanted:
                return f"{name} is not {wanted}, although the exchange listed it"
        if self.side and row.get("side") != self.side:
            return f"side is not {self.side}"
        if self.tag and row.get("tag") != self.tag:
            return f"tag is not {self.tag}"
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
