"""The rules of a drill: what it does, and where it may be done. Pure, but for the settings it looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Final
from urllib.parse import urlsplit

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.worker.books.able import Survey
from bulk_cancel.worker.books.mass.report import MassReport
from bulk_cancel.worker.books.reader import Reader
from bulk_cancel.worker.config.settings import Settings

ASKED: Final = "mass cancel asked for"
FAR_OFF: Final = Decimal("0.5")
"""A buy at half of the last price stays on the book."""

_DOMAIN: Final = "okx.com"


class NotADrillError(BulkCancelError):
    """A drill must not, or cannot, be done there; the message says why. No order was placed."""


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """What the drill does; `px` and `sz` None: half of the last price, and the least size that is allowed."""

    account: str
    inst_id: str
    orders: int
    until_flat_s: float
    timeout_s: float
    tag: str
    by: str
    px: str | None = None
    sz: str | None = None
    td_mode: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What was done or seen, and when."""

    name: str
    at: datetime


@dataclass(slots=True)
class Drill:
    """A drill on its way, and when it ended its record; it passed if nothing is in `faults`."""

    plan: DrillPlan
    batch_id: str
    uid: str
    """The User ID as the exchange told it."""
    order: Mapping[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    report: MassReport | None = None
    survey: Survey | None = None
    """What else can place orders on the account: a mass cancel of orders would leave it."""

    @property
    def passed(self) -> bool:
        """Every step did what it should."""
        return not self.faults


def check_place(settings: Settings, reader: Reader, name: str) -> None:
    """Raises NotADrillError unless the account is for demo trading or its exchange is not OKX's."""
    account = reader.account(name)
    if settings.confirm == "off":
        raise NotADrillError("CONFIRM is off: a drill has to prove that its orders are off the book")
    host = urlsplit(settings.base_url_of(account)).hostname or ""
    if not account.demo and (host == _DOMAIN or host.endswith(f".{_DOMAIN}")):
        raise NotADrillError(
            f"account {name} trades for real at {host}; a drill is for demo accounts (DEMO=true) or simulated exchanges"
        )


def far_off(last: str, tick: str) -> str:
    """Half of the last price, rounded down to the instrument's tick."""
    step = Decimal(tick)
    price = (Decimal(last) * FAR_OFF / step).to_integral_value(ROUND_DOWN) * step
    return f"{max(price, step).normalize():f}"
