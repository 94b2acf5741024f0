"""The orders that the demo cancels: many instruments, one of them busy. Pure."""

from dataclasses import dataclass
from typing import Final

from bulk_cancel.worker.okx.limits import BATCH_SIZE, Limits
from bulk_cancel.worker.state.window import LaneLoad, earliest_s

LIMITS: Final = Limits(single=60, batch=300)
"""What the exchange allows per instrument in one window."""

WINDOW_S: Final = 2.0

BUSY_SHARE: Final = 0.4
"""The first instrument has so much of all orders, so that a limit is really in the way."""

FILLED_EVERY: Final = 40
"""One order in so many is filled before its cancel arrives: then nothing is left to cancel."""

_NAMES: Final = (
    "BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT-SWAP", "BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USD-SWAP",
    "BTC-USD-271231",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """How many orders go on which instrument; there is at least one on each."""

    orders: dict[str, int]

    @property
    def total(self) -> int:
        """All orders."""
        return sum(self.orders.values())

    @property
    def minimum_s(self) -> float:
        """The least time that the exchange's limits allow for all of them."""
        return max(map(minimum_s, self.orders.values()))


def make_plan(orders: int, instruments: int) -> Plan:
    """Spreads the orders: `BUSY_SHARE` on the first instrument, the others alike. ValueError if there are too few."""
    if not 1 <= instruments <= orders:
        raise ValueError("there should be at least one order per instrument")
    if instruments == 1:
        return Plan({name_of(0): orders})
    busy = min(max(round(orders * BUSY_SHARE), -(-orders // instruments)), orders - instruments + 1)
    each, left = divmod(orders - busy, instruments - 1)
    counts = [busy, *(each + (index < left) for index in range(instruments - 1))]
    return Plan({name_of(index): count for index, count in enumerate(counts)})


def name_of(index: int) -> str:
    """An instrument's id; beyond the well-known ones they are made up."""
    return _NAMES[index] if index < len(_NAMES) else f"COIN{index}-USDT"


def minimum_s(orders: int) -> float:
    """The least time from first to last cancel of one instrument: 360 at once, 360 more with every window."""
    return earliest_s(LaneLoad(orders, 0, 0, 0.0), LIMITS, BATCH_SIZE, WINDOW_S)
