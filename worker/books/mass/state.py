"""The state of one mass cancel as a value, read from its fields in Redis. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self, cast

from bulk_cancel.tasks.receipts import MassReceipt
from bulk_cancel.worker.books.able import Survey
from bulk_cancel.worker.books.mass.flat import State
from bulk_cancel.worker.books.mass.products import Products
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.state.times import time_of

NOT_LISTED: Final = "not listed completely for 15 s"


@dataclass(frozen=True, slots=True)
class Mass:
    """One mass cancel as it stands; its batch has the same id and holds its orders.

    `matching` and `left_out` (reason → orders) are of the last complete listing, `listings` how many were complete,
    `calls` what they cost. `flat_at`: since when the scope is empty. `trouble`: why the latest listing
    was not complete. `hold`: it goes on until an operator lets go; `flat`: its scope has been empty for as long as
    was asked, and is as far as is known. `survey`: what can still place orders, once somebody looked after it was
    over, or flat on hold. `products`: the bots, spread orders, RFQs and quotes that it ends. `listed`: false of one on
    hold that was flat, and was not listed completely of late.
    """

    batch_id: str
    account: str
    uid: str
    scope: Scope
    until_flat_s: float
    urgent: bool
    state: State
    started_at: datetime
    deadline_at: datetime
    listings: int = 0
    calls: int = 0
    matching: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    flat_since_us: int | None = None
    flat_wall_us: int | None = None
    ended_at: datetime | None = None
    trouble: str = ""
    survey: Survey | None = None
    hold: bool = False
    flat: bool = False
    earliest_us: int | None = None
    products: Products = field(default_factory=Products)
    listed: bool = True

    @property
    def flat_at(self) -> datetime | None:
        """Since when nothing in scope is on the book; None while something is, or nobody asked."""
        return time_of(self.flat_wall_us) if self.flat_wall_us else None

    @property
    def earliest_done_at(self) -> datetime | None:
        """When the exchange's limits allow the last order that listings found to be sent; None before the first one."""
        return time_of(self.earliest_us) if self.earliest_us else None

    @property
    def ended(self) -> bool:
        """Nothing is listed any more."""
        return self.state != "running"

    @property
    def on_hold(self) -> bool:
        """Whatever comes is cancelled, until an operator lets go."""
        return self.hold and not self.ended

    @property
    def unlisted(self) -> Self:
        """One on hold that nobody lists any more: whether it is flat is not known."""
        told = self.trouble or NOT_LISTED
        return replace(self, listed=False, flat=False, flat_since_us=None, flat_wall_us=None, trouble=told)

    @property
    def receipt(self) -> MassReceipt:
        """What its producer is told."""
        return MassReceipt(
            batch_id=self.batch_id,
            account=self.account,
            uid=self.uid,
            scope=self.scope.asked,
            until_flat_s=self.until_flat_s,
            hold=self.hold,
            urgent=self.urgent,
            state=self.state,
            started_at=self.started_at,
            deadline_at=self.deadline_at,
            flat_at=self.flat_at,
            ended_at=self.ended_at,
        )


def read_mass(batch_id: str, raw: Mapping[str, str]) -> Mass:
    """The mass cancel from its fields in Redis."""
    return Mass(
        batch_id=batch_id,
        account=raw["account"],
        uid=raw["uid"],
        scope=Scope.read(json.loads(raw["scope"])),
        until_flat_s=int(raw["until_flat_us"]) / 1e6,
        urgent=raw["urgent"] == "1",
        state=cast("State", raw["state"]),
        started_at=time_of(int(raw["started"])),
        deadline_at=time_of(int(raw["deadline_wall"])),
        listings=int(raw.get("listings", 0)),
        calls=int(raw.get("calls", 0)),
        matching=int(raw.get("matching", 0)),
        left_out=json.loads(raw.get("left_out", "{}")),
        flat_since_us=int(raw.get("flat_since") or 0) or None,
        flat_wall_us=int(raw.get("flat_wall") or 0) or None,
        ended_at=time_of(int(raw["ended"])) if "ended" in raw else None,
        trouble=raw.get("trouble", ""),
        survey=Survey.of(raw["survey"]) if "survey" in raw else None,
        hold=raw.get("hold") == "1",
        flat=raw.get("flat") == "1",
        earliest_us=int(raw.get("earliest") or 0) or None,
        products=Products.read(raw.get("products", "")),
    )
